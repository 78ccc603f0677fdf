"""A toy stage that computes on top of the protocol: accounts whose series of signs say whether they have arrived.

An event is an account and a sign: `A+` arrives, `A-` leaves, `Ax` erases the account's row. Nothing is deduplicated, so
an event that is applied twice shows. x = accounts that have arrived + clock; a tick stands for all that only time
changes.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

COMMIT = "!commit"
CLAIM = "!claim"
READY = "!ready"
X = "x"

PARTIALS = "partials"
JOURNEYS = "journeys"
MILESTONES = "milestones"
OUTPUTS = (PARTIALS, JOURNEYS, MILESTONES)
ABSOLUTE = (PARTIALS, JOURNEYS)

Rows = tuple[tuple[str, Any], ...]
"""Key and value, by key; in a change, None deletes."""


class Milestone(NamedTuple):
    """A revision of an account's milestone."""

    account: str
    revision: int
    is_reached: bool


class CommitRow(NamedTuple):
    """The one row that each commit overwrites: how far it came, and what is to be published of it."""

    applied: int = -1
    clock: int = 0
    milestones: tuple[Milestone, ...] = ()
    changed: tuple[str, ...] = ()


def has_arrived(series: str) -> bool:
    return series.endswith("+")


def merged(rows: Rows, change: Rows) -> Rows:
    """The rows after a change, by key."""
    by_key = dict(rows) | dict(change)
    return tuple(sorted((key, value) for key, value in by_key.items() if value is not None))


def commit_of(rows: Rows) -> CommitRow:
    commit: CommitRow = dict(rows).get(COMMIT, CommitRow())
    return commit


def compute(rows: Rows, events: Iterable[str], applied: int, ticks: int) -> Rows:
    """The rows that the events and ticks change, `!commit` first; applied is the offset of the last event."""
    was: Mapping[str, Any] = dict(rows)
    new: dict[str, Any] = {}
    milestones: list[Milestone] = []
    x = x_before = was.get(X, 0)
    for account, sign in map(tuple, events):
        before = (new[account] if account in new else was.get(account)) or ""
        after = "" if sign == "x" else before + sign
        new[account] = after or None
        if has_arrived(before) != has_arrived(after):
            x += has_arrived(after) - has_arrived(before)
            key = "m" + account
            revision = new.get(key, was.get(key, 0)) + 1
            new[key] = revision
            milestones.append(Milestone(account, revision, has_arrived(after)))
    x += ticks
    if x != x_before:
        new[X] = x
    changed = (PARTIALS,) * (x != x_before) + (JOURNEYS,) * ("A" in new and new["A"] != was.get("A"))
    commit = CommitRow(applied, commit_of(rows).clock + ticks, tuple(milestones), changed)
    return (COMMIT, commit), *sorted(new.items())


Messages = tuple[tuple[str, int, Any], ...]
"""Key, version and value of what an output gets in one batch."""

Publications = tuple[tuple[str, Messages], ...]
"""Output and messages."""


def publications(rows: Rows, tag: int) -> Publications:
    """What the last commit in the rows has to publish: current values of what it changed, and its messages."""
    commit, by_key = commit_of(rows), dict(rows)
    value_by_output = {PARTIALS: by_key.get(X, 0), JOURNEYS: by_key.get("A", "")}
    absolute = [(output, ((output, tag, value_by_output[output]),)) for output in commit.changed]
    messages = [(MILESTONES, tuple(commit.milestones))] if commit.milestones else []
    return *absolute, *messages


class Truth(NamedTuple):
    """What a batch computation over all events and ticks gives."""

    series_by_account: dict[str, str]
    x: int

    @classmethod
    def of(cls, events: Iterable[str], ticks: int) -> "Truth":
        series: dict[str, str] = {}
        for account, sign in map(tuple, events):
            series[account] = "" if sign == "x" else series.get(account, "") + sign
        return cls(series, sum(map(has_arrived, series.values())) + ticks)
