"""A snapshot: a body with what it is of and exactly which input it contains."""

from collections.abc import Mapping, Sequence

from state.definition_set import Definition
from state.definitions import Cohort
from state.render import body_of
from state.render.flow import Place
from streams.partials import Cell, Covers
from streams.snapshot import SNAPSHOT_BY_BODY, Snapshot, SnapshotTag

_SAID_BESIDE = {"name", "title", "kind", "container"}


def snapshot_of(
    definition: Definition,
    totals: Mapping[Cell, int],
    covers: Mapping[int, Covers],
    *,
    touchpoints: str,
    lateness_ms: int,
    tag: SnapshotTag | None = None,
    range_dates: tuple[str, str] | None = None,
    backfill: int | None = None,
    through: Sequence[Place] = (),
) -> Snapshot:
    """The analysis as its totals at `covers` (at least one partition's) make it.

    touchpoints: the topic whose offsets say what is contained. lateness_ms: how far the watermark stays behind.
    backfill: how far the version is, in percent, that will be shown instead.
    The clock is the newest of the partitions': each is a broker's append time, and time is the same for all.
    """
    analysis = definition.analysis
    clock_ms = max(cover.clock_ms for cover in covers.values())
    body = body_of(definition, totals, clock_ms, through)
    applied = {p: covers[p].applied[touchpoints] for p in sorted(covers) if touchpoints in covers[p].applied}
    times = [cover.event_time_max_ms for cover in covers.values() if cover.event_time_max_ms > 0]
    made: Snapshot = SNAPSHOT_BY_BODY[type(body)](
        analysis=analysis.name,
        title=analysis.title or analysis.name,
        version=definition.version,
        container=str(analysis.container),
        zone=definition.zone,
        mode=mode_of(definition),
        range=range_dates,
        tag=tag,
        clock_ms=clock_ms,
        watermark_ms=min(times) - lateness_ms if times else None,
        applied={str(partition): offset for partition, offset in applied.items()},
        definitions_hash=next(iter(covers.values())).definitions_hash,
        backfill=backfill,
        body=body,  # type: ignore[arg-type]  # the table pairs each body with its snapshot
    )
    return made


def mode_of(definition: Definition) -> dict[str, object]:
    """What changes the meaning of the numbers: the definition with its defaults, without what stands beside it."""
    analysis = definition.analysis
    mode: dict[str, object] = analysis.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_SAID_BESIDE)
    return mode | {"periods": analysis.period_count} if isinstance(analysis, Cohort) else mode
