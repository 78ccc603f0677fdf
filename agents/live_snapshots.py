"""Snapshots for readers: the published ones, or those of a part of them, summed from `partials` here.

Both are iterators that go on for ever: each value is what is known now, by name; the first when the topic's end as it
was at the start is reached.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from agents.reading import follow_topic
from agents.settings import Settings
from state.definition_set import Definition, DefinitionSet
from state.render.flow import Place
from state.render.ranges import Range, dates_text
from state.render.snapshot import snapshot_of
from state.render.through import require_places
from state.sums import PartialSums
from streams.errors import UnavailableError
from streams.protocol_rows import PROTOCOL_PREFIX
from streams.snapshot import Snapshot, decode_snapshot
from streams.topics import topic_name


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


class Published:
    """What the newest published snapshot of an analysis says; read once, when something of it is first asked for."""

    def __init__(self, bootstrap: str, settings: Settings, name: str) -> None:
        self._bootstrap, self._settings, self._name = bootstrap, settings, name

    @cached_property
    def _snapshot(self) -> Snapshot | None:
        return next(published_snapshots(self._bootstrap, self._settings)).get(self._name)

    def definition(self, definitions: DefinitionSet) -> Definition | None:
        """What readers see under the name: while there is a former version, the one whose snapshot is published."""
        newest = definitions.named(self._name)
        if definitions.former(self._name) is None:
            return newest
        version = None if self._snapshot is None else self._snapshot.version
        return next((each for each in definitions.every if each.version == version), newest)

    def range(self) -> str:
        """The days that it covers, for they may move: `FROM..TO`. Raises UnavailableError where none says so yet."""
        if self._snapshot is None or self._snapshot.range is None:
            raise UnavailableError(
                f"no snapshot of {self._name} says which days it covers yet; name them with --range FROM..TO"
            )
        return "..".join(self._snapshot.range)

    def clock_ms(self) -> int:
        """Its clock. Raises UnavailableError where there is none yet."""
        if self._snapshot is None:
            raise UnavailableError(
                f"there is no snapshot of {self._name} yet, which says its clock; give one with --clock-ms"
            )
        return self._snapshot.clock_ms


def part_snapshots(
    bootstrap: str,
    settings: Settings,
    definitions: DefinitionSet,
    names: Sequence[str],
    wanted_range: Range | None,
    through: Sequence[Place] = (),
) -> Iterator[dict[str, Snapshot]]:
    """The analyses as `partials` has them: over the days of the range (None: all days) as the clock has them,
    and of flows only the paths through these items; of those that were changed the former version until the new one
    is complete.

    Raises UsageError for a part that an analysis can not give, UnavailableError where nothing was computed yet.
    """
    wanted = [each for each in definitions.every if each.analysis.name in names]
    if through:
        for definition in wanted:
            require_places(definition, through)
    touchpoints = topic_name("touchpoints", settings.prefix, settings.generation)
    for sums in partial_sums(bootstrap, settings, wanted, wanted_range):
        shown = [definitions.shown(name, sums.is_complete) for name in names]
        yield {
            definition.analysis.name: part_snapshot(definition, sums, touchpoints, settings.lateness_s * 1000, through)
            for definition in shown
            if definition is not None
        }


def part_snapshot(
    definition: Definition, sums: PartialSums, touchpoints: str, lateness_ms: int, through: Sequence[Place] = ()
) -> Snapshot:
    """An analysis as these sums, which are over some range, have it; as `snapshot_of` otherwise."""
    days = sums.days(definition.version)
    return snapshot_of(
        definition,
        sums.totals(definition.version),
        sums.covers,
        touchpoints=touchpoints,
        lateness_ms=lateness_ms,
        range_dates=None if days is None else dates_text(days),
        through=through,
    )


def partial_sums(
    bootstrap: str, settings: Settings, definitions: Sequence[Definition], wanted_range: Range | None
) -> Iterator[PartialSums]:
    """The sums of `partials` over the days of a range (None: all), the same object whenever they may have changed.

    Raises as `part_snapshots` does.
    """
    sums = PartialSums(definitions, wanted_range)
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
