"""Whether the live numbers are those of a batch computation over the same touchpoints (`milepost check`).

The cells of every partition are compared at its newest covers, the snapshots at the offsets that each of them names.
Workers may go on meanwhile: what they add is behind these points. Of milestones what stands is compared at the covers
too, and of audiences who is in; an alert or a member that changes while the rest is read is left out.
"""

import time
from collections.abc import Callable, Container, Iterator, Mapping

import duckdb
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.alerts import read_standing
from agents.audience_topics import read_all_members
from agents.dead_letters import set_aside_offsets
from agents.reading import read_definitions, read_topic
from agents.settings import Settings
from check.alerts import alert_differences
from check.audiences import Attributes, Who, attributes_of, fields_of_audience, members_of
from check.batch import batch_cells
from check.cells import CellsByPart, summed
from check.compare import Difference, body_differences, cell_differences, range_differences
from check.conditions import attribute_columns
from check.members import TOLD_LATE_MS, member_differences
from check.milestones import Key, claims_of, fields_of_milestone
from check.ranges import range_of
from check.reading import PublishedCells, PublishedSnapshots
from check.render import body_of
from check.touchpoints import Arrival, load, open_database, settle
from state.audience_set import AudienceDefinition
from state.definition_set import Definition, DefinitionSet
from state.milestone_set import MilestoneDefinition
from streams.alert import Alert
from streams.errors import UnavailableError, UsageError
from streams.membership import MembershipChange
from streams.shown import shown
from streams.snapshot import Snapshot
from streams.topics import topic_name

_VALUE_CHARACTERS_MAX = 300
DIFFERENCES_SHOWN = 20
Applied = Mapping[int, int]
Alerts = Mapping[tuple[str, str, Key], Alert | None]
"""By milestone, kind of container and whose they are; None for those not to be compared."""
Told = Mapping[Who, MembershipChange]
Progress = Callable[[str], None]


class AnalysisReport(msgspec.Struct, frozen=True):
    """One analysis, milestone or audience (of which kind it is then, without a snapshot): how many cells, alerts or
    members were compared (over all partitions), whether a snapshot was there to compare, and every difference.
    is_complete: whether every partition counts all its accounts in it; if not, only the snapshot of the version before
    was compared."""

    analysis: str
    kind: str
    cell_count: int
    has_snapshot: bool
    differences: list[Difference]
    is_complete: bool = True


class CheckReport(msgspec.Struct, frozen=True):
    """All analyses. touchpoint_count: records read, duplicates included; applied: the offset of the last one that the
    live cells contain, per partition."""

    analyses: list[AnalysisReport]
    touchpoint_count: int
    applied: dict[int, int]
    elapsed_s: float

    @property
    def cell_count(self) -> int:
        """How many cells were compared."""
        return sum(analysis.cell_count for analysis in self.analyses)

    @property
    def difference_count(self) -> int:
        """How many numbers differ."""
        return sum(len(analysis.differences) for analysis in self.analyses)


def run_check(bootstrap: str, settings: Settings, progress: Progress = lambda _step: None) -> CheckReport:
    """Compares what is published now. `progress` is told each step in words.

    Raises UnavailableError where nothing was computed yet.
    """
    began = time.monotonic()
    progress("reading the live numbers")
    definitions = read_definitions(bootstrap, settings)
    alerts, members = _read_alerts(bootstrap, settings, definitions), _read_members(bootstrap, settings, definitions)
    cells = _read_cells(bootstrap, settings)
    alerts = _unmoved(alerts, _read_alerts(bootstrap, settings, definitions))
    later = _read_members(bootstrap, settings, definitions)
    snapshots = _read_snapshots(bootstrap, settings, definitions)
    touchpoints = topic_name("touchpoints", settings.prefix, settings.generation)
    applied = {partition: covers.applied.get(touchpoints, -1) for partition, covers in cells.covers.items()}
    columns = attribute_columns(
        [definition.analysis for definition in definitions.every],
        [
            *(field for each in definitions.milestones for field in fields_of_milestone(each.milestone)),
            *(field for each in definitions.audiences for field in fields_of_audience(each.audience)),
        ],
    )
    with open_database() as connection:
        progress("reading the touchpoints")
        ends = _latest([applied, *(_applied_of(snapshot) for snapshot in snapshots.values())])
        left_out = set_aside_offsets(bootstrap, settings, touchpoints)
        count = load(connection, _arrivals(bootstrap, touchpoints, ends, left_out), columns)
        batch = _Batch(connection, columns, progress)
        reports = [
            _check(definition, cells, applied, batch, snapshots.get(definition.analysis.name))
            for definition in definitions.definitions
        ]
        milestones = [_check_milestone(each, cells, applied, batch, alerts) for each in definitions.milestones]
        audiences = [
            _check_audience(each, cells, applied, batch, members.get(each.name, {}), later.get(each.name, {}))
            for each in definitions.audiences
        ]
        _compare_snapshots(definitions, snapshots, batch, reports)
    return CheckReport([*reports, *milestones, *audiences], count, applied, time.monotonic() - began)


class _Batch:
    """The batch computation, at one set of offsets at a time; what was computed for these offsets is kept."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], progress: Progress) -> None:
        self._connection, self._columns, self._progress = connection, columns, progress
        self._applied: Applied | None = None
        self._cells: dict[str, CellsByPart] = {}

    def cells(self, definition: Definition, applied: Applied) -> CellsByPart:
        """The cells of a definition over the touchpoints up to these offsets."""
        self._settle(applied)
        if definition.version not in self._cells:
            self._progress(f"computing {definition.analysis.name}")
            self._cells[definition.version] = self._compute(definition)
        return self._cells[definition.version]

    def claims(self, made: MilestoneDefinition, applied: Applied) -> dict[Key, int]:
        """When a milestone happened, over the touchpoints up to these offsets."""
        self._settle(applied)
        self._progress(f"computing {made.name}")
        try:
            return claims_of(self._connection, made.milestone, self._columns)
        except duckdb.InvalidInputException as error:
            raise _can_not_be_checked(f"milestone {made.name!r}", error) from error

    def members(self, made: AudienceDefinition, applied: Applied, clocks: Mapping[int, int]) -> set[Who]:
        """Who is in an audience by some clocks, over the touchpoints up to these offsets."""
        self._settle(applied)
        self._progress(f"computing {made.name}")
        try:
            return members_of(self._connection, made.audience, self._columns, clocks)
        except duckdb.InvalidInputException as error:
            raise _can_not_be_checked(f"audience {made.name!r}", error) from error

    def attributes(self, made: AudienceDefinition, applied: Applied) -> Attributes:
        """What an audience's containers bring along, over the same."""
        self._settle(applied)
        return attributes_of(self._connection, made.audience, self._columns)

    def _settle(self, applied: Applied) -> None:
        applied = {partition: offset for partition, offset in applied.items() if offset >= 0}
        if applied != self._applied:
            self._progress("putting the touchpoints in order")
            settle(self._connection, applied, self._columns)
            self._applied, self._cells = applied, {}

    def _compute(self, definition: Definition) -> CellsByPart:
        try:
            return batch_cells(self._connection, definition, self._columns)
        except duckdb.InvalidInputException as error:
            raise _can_not_be_checked(f"analysis {definition.analysis.name!r}", error) from error


def _can_not_be_checked(what: str, error: Exception) -> UsageError:
    return UsageError(
        f"the {what} can not be checked: {error}. A regular expression has to be one of RE2 as well as of Python"
    )


def _check(
    definition: Definition, published: PublishedCells, applied: Applied, batch: _Batch, snapshot: Snapshot | None
) -> AnalysisReport:
    """The cells of one analysis; its snapshot follows in `_compare_snapshots`."""
    analysis = definition.analysis
    if any(definition.version not in covers.complete for covers in published.covers.values()):
        return AnalysisReport(analysis.name, analysis.kind, 0, snapshot is not None, [], is_complete=False)
    live = published.cells(definition.version)
    expected = batch.cells(definition, applied)
    compared = sum(len({*expected.get(part, {}), *live.get(part, {})}) for part in {*expected, *live})
    differences = list(cell_differences(analysis, expected, live))
    return AnalysisReport(analysis.name, analysis.kind, compared, snapshot is not None, differences)


def _read_alerts(bootstrap: str, settings: Settings, definitions: DefinitionSet) -> Alerts:
    return read_standing(bootstrap, settings) if definitions.milestones else {}


def _unmoved(before: Alerts, after: Alerts) -> Alerts:
    """The alerts as they stand; None for those that changed in between."""
    return {key: before.get(key) if before.get(key) == after.get(key) else None for key in {**before, **after}}


def _check_milestone(
    made: MilestoneDefinition, published: PublishedCells, applied: Applied, batch: _Batch, alerts: Alerts
) -> AnalysisReport:
    """What stands of one milestone."""
    if any(made.version not in covers.complete for covers in published.covers.values()):
        return AnalysisReport(made.name, "milestone", 0, False, [], is_complete=False)
    clocks = {partition: covers.clock_ms for partition, covers in published.covers.items()}
    own = made.name, made.milestone.container
    mine = {key: alert for (name, kind, key), alert in alerts.items() if (name, kind) == own}
    count, differences = alert_differences(made, batch.claims(made, applied), mine, clocks)
    return AnalysisReport(made.name, "milestone", count, False, differences)


def _read_members(bootstrap: str, settings: Settings, definitions: DefinitionSet) -> Mapping[str, Told]:
    return read_all_members(bootstrap, settings) if definitions.audiences else {}


def _check_audience(
    made: AudienceDefinition,
    published: PublishedCells,
    applied: Applied,
    batch: _Batch,
    before: Told,
    after: Told,
) -> AnalysisReport:
    """Who is in one audience, and with what. before, after: the rest was read."""
    if any(made.version not in covers.complete for covers in published.covers.values()):
        return AnalysisReport(made.name, "audience", 0, False, [], is_complete=False)
    clocks = {partition: covers.clock_ms for partition, covers in published.covers.items()}
    earlier = {partition: clock_ms - TOLD_LATE_MS for partition, clock_ms in clocks.items()}
    expected, known = batch.members(made, applied, clocks), batch.attributes(made, applied)
    found = {who: told.attributes for who, told in before.items() if after.get(who) == told}
    count, differences = member_differences(
        {who: known.get(who, {}) for who in expected},
        batch.members(made, applied, earlier),
        found,
        (before.keys() | after.keys()) - found.keys(),
    )
    return AnalysisReport(made.name, "audience", count, False, differences)


def _compare_snapshots(
    definitions: DefinitionSet, snapshots: Mapping[str, Snapshot], batch: _Batch, reports: list[AnalysisReport]
) -> None:
    """Adds what differs in snapshots to the reports. Those at the same offsets are computed one after the other."""
    report_by_name = {report.analysis: report for report in reports}
    for name in sorted(snapshots, key=lambda name: sorted(_applied_of(snapshots[name]).items())):
        snapshot = snapshots[name]
        definition = next(each for each in definitions.every if each.version == snapshot.version)
        expected = summed(batch.cells(definition, _applied_of(snapshot)))
        body = body_of(definition, expected, snapshot.clock_ms)
        found = report_by_name[name].differences
        found.extend(body_differences(body, snapshot.body))
        found.extend(range_differences(range_of(definition, snapshot.clock_ms), snapshot.range))


def _read_cells(bootstrap: str, settings: Settings) -> PublishedCells:
    topic = topic_name("partials", settings.prefix, settings.generation)
    cells = PublishedCells()
    for record in read_topic(bootstrap, topic):
        cells.apply(record.partition, record.key, record.value)
    if not cells.covers:
        raise UnavailableError(f"{topic} holds no result yet; run a worker: `milepost worker`")
    return cells


def _read_snapshots(bootstrap: str, settings: Settings, definitions: DefinitionSet) -> dict[str, Snapshot]:
    """The newest snapshot of each definition in force, or of what it replaces, by name."""
    found = PublishedSnapshots()
    for record in read_topic(bootstrap, topic_name("snapshots", settings.prefix, settings.generation)):
        found.apply(record.key, record.value)
    versions = {definition.version for definition in definitions.every}
    return {name: each for name, each in found.by_name.items() if each.version in versions}


def _applied_of(snapshot: Snapshot) -> dict[int, int]:
    return {int(partition): offset for partition, offset in snapshot.applied.items()}


def _latest(applied: list[Applied]) -> dict[int, int]:
    """Per partition the greatest offset."""
    partitions = {partition for each in applied for partition in each}
    return {partition: max(each.get(partition, -1) for each in applied) for partition in partitions}


def _arrivals(bootstrap: str, topic: str, ends: Applied, left_out: Container[tuple[int, int]]) -> Iterator[Arrival]:
    """The touchpoints of these partitions up to these offsets, the last included, but for those set aside by hand."""
    for record in read_topic(bootstrap, topic, ends):
        place = record.partition, record.offset
        if record.offset <= ends[record.partition] and record.value is not None and place not in left_out:
            yield record.partition, record.offset, record.value


def print_report(report: CheckReport, console: Console, differences_shown: int = DIFFERENCES_SHOWN) -> None:
    """The verdict on each analysis, and the first differences."""
    console.print(_title(report), highlight=False)
    table = Table()
    table.add_column("analysis")
    for heading in ("compared", "differences"):
        table.add_column(heading, justify="right")
    table.add_column("snapshot")
    table.add_column("verdict")
    for each in report.analyses:
        verdict = "[green]equal[/]" if each.is_complete else "[yellow]being counted[/]"
        verdict = "[bold red]DIFFERENT[/]" if each.differences else verdict
        has_snapshot = "compared" if each.has_snapshot else "" if each.kind in ("milestone", "audience") else "none yet"
        table.add_row(each.analysis, f"{each.cell_count:,}", f"{len(each.differences):,}", has_snapshot, verdict)
    console.print(table)
    if report.difference_count:
        _print_differences(report, console, differences_shown)


def _title(report: CheckReport) -> str:
    return (
        f"Live numbers against a batch computation over {report.touchpoint_count:,} touchpoints"
        f" ({report.elapsed_s:.1f} s)"
    )


def _print_differences(report: CheckReport, console: Console, count_max: int) -> None:
    table = Table("analysis", "partition", "what", "expected", "found live")
    found = [(each.analysis, difference) for each in report.analyses for difference in each.differences]
    for name, each in found[:count_max]:
        partition = "" if each.partition is None else str(each.partition)
        # As Text, so that brackets in a value are not taken for markup.
        said = (name, partition, each.what, str(each.expected), str(each.found))
        table.add_row(*(Text(shown(text, _VALUE_CHARACTERS_MAX)) for text in said))
    console.print(table)
    if len(found) > count_max:
        console.print(f"and {len(found) - count_max:,} more; --json prints them all")
