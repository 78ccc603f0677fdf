"""Snapshots for readers: the published ones, or those of a part of them, summed from `partials` here.

Both are iterators that go on for ever: each value is what is known now, by name; the first when the topic's end as it
was at the start is reached.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from agents.reading import follow_topic
from agents.settings import Settings
from state.definition_set import Definition, DefinitionSet
from state.render.days import Days
from state.render.flow import Place
from state.render.snapshot import snapshot_of
from state.render.through import require_places
from state.sums import PartialSums
from streams.errors import UnavailableError, UsageError
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.snapshot import Snapshot, decode_snapshot
from streams.topics import topic_name

EPOCH = date(1970, 1, 1)
DATE_MAX = date(2199, 12, 31)


def published_snapshots(bootstrap: str, settings: Settings) -> Iterator[dict[str, Snapshot]]:
    """The newest published snapshot of every analysis, again whenever one has come or nothing came for a moment."""
    newest: dict[str, Snapshot] = {}
    caught_up = False
    for records in follow_topic(bootstrap, topic_name("snapshots", settings.prefix, settings.generation)):
        for record in records:
            if not record.key.startswith(PROTOCOL_PREFIX):
                _take(newest, record.key.decode(), record.value)
        caught_up = caught_up or not records
        if caught_up:
            yield newest


def _take(newest: dict[str, Snapshot], name: str, value: bytes | None) -> None:
    """Keeps the snapshot with the highest tag; a deleted one is gone."""
    if value is None:
        newest.pop(name, None)
        return
    snapshot = decode_snapshot(value)
    old = newest.get(name)
    if old is None or old.tag is None or (snapshot.tag is not None and snapshot.tag >= old.tag):
        newest[name] = snapshot


def part_snapshots(
    bootstrap: str,
    settings: Settings,
    definitions: DefinitionSet,
    names: Sequence[str],
    dates: tuple[date, date] | None,
    through: Sequence[Place] = (),
) -> Iterator[dict[str, Snapshot]]:
    """The analyses as `partials` has them: over the local days from the first to the last of `dates` (None: all days),
    and of flows only the paths through these items; of those that were changed the former version until the new one
    is complete.

    Raises UsageError for a part that an analysis can not give, UnavailableError where nothing was computed yet.
    """
    wanted = [each for each in definitions.every if each.analysis.name in names]
    if through:
        for definition in wanted:
            require_places(definition, through)
    touchpoints = topic_name("touchpoints", settings.prefix, settings.generation)
    for sums in partial_sums(bootstrap, settings, wanted, None if dates is None else days_of(dates)):
        shown = [definitions.shown(name, sums.is_complete) for name in names]
        yield {
            definition.analysis.name: snapshot_of(
                definition,
                sums.totals(definition.version),
                sums.covers,
                touchpoints=touchpoints,
                lateness_ms=settings.lateness_s * 1000,
                range_dates=None if dates is None else (dates[0].isoformat(), dates[1].isoformat()),
                through=through,
            )
            for definition in shown
            if definition is not None
        }


def partial_sums(
    bootstrap: str, settings: Settings, definitions: Sequence[Definition], days: Days | None
) -> Iterator[PartialSums]:
    """The sums of `partials` over these days (None: all), the same object whenever they may have changed.

    Raises as `part_snapshots` does.
    """
    sums = PartialSums(definitions, days)
    partials = topic_name("partials", settings.prefix, settings.generation)
    caught_up = False
    for records in follow_topic(bootstrap, partials):
        if records:
            sums.apply(records[0].partition, [(record.key, record.value) for record in records])
        caught_up = caught_up or not records
        if not caught_up:
            continue
        if not sums.covers:
            raise UnavailableError(f"{partials} holds no result yet; run a worker: `milepost worker`")
        yield sums


def days_of(dates: tuple[date, date]) -> Days:
    """The numbers of the first and the last day."""
    return (dates[0] - EPOCH).days, (dates[1] - EPOCH).days


def dates_of(text: str) -> tuple[date, date]:
    """The first and the last day of `FROM..TO`. Raises UsageError for anything else."""
    first, dots, last = text.partition("..")
    try:
        if not dots:
            raise ValueError("there is no '..'")
        dates = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise UsageError(f"--range {text!r}: {error}; write it as 2026-01-01..2026-03-31") from error
    if not EPOCH <= dates[0] <= dates[1] <= DATE_MAX:
        raise UsageError(
            f"--range {text!r}: the first day must not be after the last, and both lie from {EPOCH} to {DATE_MAX}"
        )
    return dates
