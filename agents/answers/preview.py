"""What an analysis would show that is still being written, over a sample of the accounts here. Nothing is changed.

Partitions hold accounts as chance has it, and of each partition the same share is taken, again by chance; of fewer
accounts where the time is over before.
"""

import time

import msgspec

from agents.answers.owned_partitions import OwnedPartitions, committed, due_at
from agents.answers.parts import applied_in
from agents.answers.request import Parameters
from agents.defining import one_definition
from agents.reading_plan import ReadingPlan
from state.account_batch import totals
from state.containers import Containers
from state.definition_set import Definition, installed_tzdata
from state.layers import Layers
from state.preview import Preview, sample_of
from state.render.ranges import dates_text
from state.render.snapshot import snapshot_of
from streams.answers import PreviewAnswer
from streams.partials import Covers, Tag
from streams.store import Rows

PREVIEW_S = 0.9
LISTING_SHARE = 0.4
"""Of the time for a partition; the rest is for what the accounts contribute."""
ACCOUNT_SHARE = 0.05
"""An account whose touchpoints take more of it to be read is left out; to compute with them takes four times that."""
SAMPLE_COUNT, SAMPLE_COUNT_MAX = 2_000, 100_000
VERSION = "preview"
_TOUCHPOINTS = "touchpoints"


class _Taken(msgspec.Struct):
    """Accounts so far: that there are, were found in time, were wanted of these, are in the sample, were too large."""

    total: int = 0
    drawn_from: int = 0
    wanted: int = 0
    sampled: int = 0
    left_out: int = 0


class PreviewAnswers:
    """lateness_ms: how far watermarks stay behind."""

    def __init__(self, plan: ReadingPlan, partitions: OwnedPartitions, lateness_ms: int) -> None:
        self._plan = plan
        self._partitions = partitions
        self._lateness_ms = lateness_ms

    def preview(self, parameters: Parameters, body: bytes) -> PreviewAnswer:
        """The one analysis of a definition file, over `sample` accounts. Raises ProblemError where none are here."""
        count = parameters.count("sample", SAMPLE_COUNT, SAMPLE_COUNT_MAX)
        parameters.require_all_taken()
        file = one_definition(body)
        definition = Definition(VERSION, file.zone, file.week_start, installed_tzdata(), file.analyses[0])
        preview, taken = Preview(definition), _Taken()
        share = min(1.0, count / max(1, self._account_count()))
        covers: dict[int, Covers] = {}
        for partition, rows, until in self._partitions.shares(PREVIEW_S):
            covers[partition] = _covers(rows)
            self._take(rows, until, share, preview, taken)
        if not covers:
            raise self._partitions.none_here()
        totals, days = preview.totals(max(each.clock_ms for each in covers.values()))
        snapshot = snapshot_of(
            definition,
            totals,
            covers,
            touchpoints=_TOUCHPOINTS,
            lateness_ms=self._lateness_ms,
            range_dates=None if days is None else dates_text(days),
        )
        return PreviewAnswer(
            is_sample=taken.sampled < taken.total,
            sampled=taken.sampled,
            total=taken.total,
            drawn_from=taken.drawn_from,
            left_out=taken.left_out,
            snapshot=snapshot,
        )

    def _account_count(self) -> int:
        return sum(_account_count(rows, self._plan.layers(rows)) for _, rows, _ in self._partitions.shares(PREVIEW_S))

    def _take(self, rows: Rows, until: float, share: float, preview: Preview, taken: _Taken) -> None:
        """Adds a share of one partition's accounts."""
        began = time.monotonic()
        listing_until = began + (until - began) * LISTING_SHARE
        account_s = (until - began) * ACCOUNT_SHARE
        listed: list[bytes] = []
        layers = self._plan.layers(rows)
        for account in Containers(layers, rows).accounts(b""):
            listed.append(account)
            if time.monotonic() > listing_until:
                break
        taken.total += _account_count(rows, layers)
        taken.drawn_from += len(listed)
        wanted = round(share * taken.total) - taken.wanted
        taken.wanted += wanted
        for account in sample_of(listed, wanted):
            now = time.monotonic()
            if now > until:
                return
            if preview.add(rows, account, due_at(min(until, now + account_s))):
                taken.sampled += 1
            elif time.monotonic() <= until:
                taken.left_out += 1


def _covers(rows: Rows) -> Covers:
    """What a partition contains, as its commit says it."""
    row = committed(rows)
    applied = {_TOUCHPOINTS: applied_in(row)}
    event_time_ms, _ = totals(rows, [])
    return Covers(Tag(0, 0), applied, row.clock_ms, event_time_ms, row.definitions_hash)


def _account_count(rows: Rows, layers: Layers) -> int:
    _, count_by_layout = totals(rows, (plan.code for plan in layers.plans))
    return sum(count_by_layout.values())
