"""Hypothesis strategies for audiences, and what must hold of who is in them."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from state.audience_set import AudienceDefinition
from state.definition_set import DefinitionSet
from state.definitions import Canvas, DefinitionFile
from streams.touchpoint import Touchpoint
from tests.oracles.audiences import Who, attributes_of, members_of
from tests.state.milestone_worlds import ANALYSIS, DURATIONS, KINDS, SINCE, canvases, milestones
from tests.state.partitions import Partition
from tests.state.worlds import DAY, START, cohorts, matches

__all__ = ["SINCE"]
GRANULARITIES = ("day", "week", "month", "quarter", "year")


@st.composite
def audiences(draw: st.DrawFn, question: str | None = None) -> dict[str, Any]:
    """A definition file of one audience that asks a question, any without one, beside others."""
    container = draw(st.sampled_from(KINDS))
    canvas = draw(canvases(container))
    milestone = draw(milestones(draw(st.sampled_from(["happens", "amount", "missing", "unchanged"]))))
    cohort = {**draw(cohorts()), "name": "co", "container": container}
    cohort.pop("filter", None)
    file = {
        "version": 1,
        "analyses": [ANALYSIS, canvas, cohort],
        "milestones": [{**milestone, "name": "m", "container": container}],
    }
    leaves = {
        "threshold": _thresholds(with_time=False),
        "window": _thresholds(with_time=True),
        "last": _lasts(),
        "node": st.sampled_from(canvas["nodes"]).map(lambda node: {"canvas": "it", "node": node["id"]}),
        "arrow": st.builds(_arrow, st.sampled_from(canvas["arrows"]), st.sampled_from(["yes", "no", *DURATIONS])),
        "cohort": _periods(cohort["periods"] if cohort.get("periods") else 1),
        "milestone": _within({"milestone": "m"}),
    }
    asked = st.one_of(list(leaves.values()))
    wanted = draw(leaves[question] if question else asked)
    if draw(st.booleans()):
        wanted = draw(_joined(st.just(wanted), asked))
    audience: dict[str, Any] = {"name": "it", "container": container, "when": wanted}
    if "has" not in wanted and "last" not in wanted and not {"all", "any", "not", "milestone"} & wanted.keys():
        audience[draw(st.sampled_from(["when", "from"]))] = audience.pop("when")
    if draw(st.integers(0, 3)) == 0:
        audience["consent"] = draw(_lasts())["last"]
    if draw(st.booleans()):
        audience["attributes"] = {"tier": "attributes.tier"}
    return {**file, "audiences": [audience]}


QUESTIONS = ("threshold", "window", "last", "node", "arrow", "cohort", "milestone")


def _thresholds(*, with_time: bool) -> st.SearchStrategy[dict[str, Any]]:
    within = st.fixed_dictionaries({"within": st.sampled_from(DURATIONS)}) if with_time else st.just({})
    counts = st.fixed_dictionaries({"number": st.sampled_from([0, 1, 1, 2, 3])})
    values = st.fixed_dictionaries({"metric": st.just("value"), "number": st.sampled_from([-1, 0, 0.5, 2.5])})
    rest = st.fixed_dictionaries(
        {"match": matches(), "op": st.sampled_from([">=", ">=", ">=", ">", "=", "!=", "<=", "<"])}
    )
    amounts = st.one_of(counts, counts, values)
    return st.builds(lambda amount, rest, within: {"has": {**amount, **rest, **within}}, amounts, rest, within)


def _lasts() -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(
        [
            {"last": {"field": "attributes.tier", "op": "=", "value": "gold"}},
            {"last": {"field": "attributes.tier", "op": "!=", "value": 1}},
            {"last": {"field": "content_type", "op": "in", "value": ["x", "y"]}},
            {"last": {"field": "value", "op": ">", "value": 0}},
        ]
    )


def _arrow(arrow: dict[str, Any], how: str) -> dict[str, Any]:
    ends = f"{arrow['from']}>{arrow['to']}"
    if how == "yes":
        return {"canvas": "it", "arrow": ends}
    return {"canvas": "it", "arrow": ends, "followed": False, **({} if how == "no" else {"within": how})}


def _periods(periods: int) -> st.SearchStrategy[dict[str, Any]]:
    days = st.integers(0, 90).map(lambda n: datetime.fromtimestamp((START + n * DAY) / 1000, UTC).date())
    period = st.one_of(days.map(str), days.map(lambda day: str(day)[:7]), days.map(lambda day: str(day)[:4]))
    returned = st.sampled_from([{}, {}, {"returned": min(periods, 2)}])
    return st.builds(lambda period, returned: {"cohort": "co", "period": period, **returned}, period, returned)


def _within(what: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from([None, *DURATIONS]).map(lambda each: what if each is None else {**what, "within": each})


def _joined(
    first: st.SearchStrategy[dict[str, Any]], other: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        first.map(lambda part: {"not": part}),
        st.builds(lambda a, b: {"all": [a, b]}, first, other),
        st.builds(lambda a, b: {"any": [a, {"not": b}]}, first, other),
        st.builds(lambda a, b, c: {"all": [a, {"any": [b, c]}]}, first, other, other),
    )


def audience_definition(file: dict[str, Any], version: str = "v", name: str = "it") -> AudienceDefinition:
    """The audience of a file, published."""
    read = DefinitionFile.model_validate(file)
    audience = read.audiences[0].model_copy(update={"name": name})
    _file_by_audience[audience.model_dump_json()] = read
    return AudienceDefinition(version, "", audience)


_file_by_audience: dict[str, DefinitionFile] = {}


def with_audiences(*made: AudienceDefinition) -> DefinitionSet:
    """The set of these audiences, without anything else."""
    return DefinitionSet((), (), (), tuple(made))


def expected_of(made: AudienceDefinition, arrived: list[Touchpoint], clock_ms: int) -> set[Who]:
    """Who is in by the clock."""
    file = _file_by_audience[made.audience.model_dump_json()]
    of_file = [each for each in file.analyses if isinstance(each, Canvas)]
    return members_of(made.audience, of_file, file.milestones, arrived, clock_ms)


def members_in(partition: Partition, name: str) -> set[Who]:
    """Who is in for a reader of the topic."""
    return {Who(each.account, each.container) for each in partition.members.values() if each.audience == name}


def require_members(partition: Partition, made: AudienceDefinition, arrived: list[Touchpoint]) -> None:
    """Who is in for a reader is who is in, and each has the newest attributes."""
    assert members_in(partition, made.name) == expected_of(made, arrived, partition.clock_ms)
    newest = attributes_of(made.audience, arrived)
    for each in partition.members.values():
        assert each.audience != made.name or each.attributes == newest[Who(each.account, each.container)]
