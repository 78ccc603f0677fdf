"""Definition files: what is refused, in which words, and what the set in force is."""

from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from state.calendar import Calendar
from state.definition_set import (
    RETIREMENT_VALUE,
    DefinitionSet,
    Retirement,
    definition_set_of,
    publications,
    require_tzdata,
    stale_retirements,
)
from state.definitions import AnchorMatch, Arrow, Canvas, DefinitionFile
from state.matches import BEING_WRITTEN, All, shape_of
from streams.errors import MismatchError

TYPE_A = {"field": "type", "value": "A"}
CANVAS: dict[str, Any] = {
    "name": "c", "kind": "canvas", "container": "account",
    "nodes": [{"id": "a", "match": TYPE_A}, {"id": "b", "match": TYPE_A}], "arrows": [{"from": "a", "to": "b"}],
}  # fmt: skip
COHORT: dict[str, Any] = {
    "name": "r", "kind": "cohort", "container": "person", "granularity": "week",
    "inclusion": {"match": TYPE_A}, "return": {"match": TYPE_A},
}  # fmt: skip
HAS_A: dict[str, Any] = {"has": {"match": TYPE_A}}
FLOW: dict[str, Any] = {"name": "f", "kind": "flow", "container": "account", "dimension": "type"}


def file_of(*analyses: dict[str, Any], **options: Any) -> DefinitionFile:
    """A definition file."""
    return DefinitionFile.model_validate({"version": 1, "analyses": list(analyses), **options}, context=BEING_WRITTEN)


AB = {"from": "a", "to": "b"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({**CANVAS, "arrows": [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}]}, "cycle: a -> b -> a"),
    ({**CANVAS, "arrows": [{"from": "a", "to": "z"}]}, "there is no node 'z'"),
    ({**CANVAS, "arrows": [{"from": "a", "to": "b"}] * 2}, "arrow a -> b: stands there more than once"),
    ({**CANVAS, "nodes": CANVAS["nodes"] + CANVAS["nodes"][:1]}, "node a: stands there more than once"),
    ({**CANVAS, "arrows": [{**AB, "within": "1 day"}]}, "should match pattern"),
    ({**CANVAS, "arrows": [{**AB, "within": "0s"}]}, "should match pattern"),
    ({**CANVAS, "arrows": [{**AB, "within": "2h", "after": "120m"}]}, "2h is not longer than after: 120m"),
    ({**CANVAS, "arrows": [{**AB, "within": "6061s", "after": "6001s"}]}, "at least 1/100 of after"),
    ({**CANVAS, "container": "global_account"}, "global_account can not be a container in this version"),
    ({**CANVAS, "nodes": ["a"]}, "valid dictionary"),
    ({**CANVAS, "container": "household"}, "'account', 'opportunity'"),
    ({**CANVAS, "secondary": "containers"}, "containers is the metric already"),
    ({**CANVAS, "metric": "events", "secondary": "events"}, "events is the metric already"),
    ({**CANVAS, "arrow_values": True}, "take events or value as a metric"),
    ({**COHORT, "mode": "rolling", "latency": True}, "before it there is none to count from"),
    ({**COHORT, "mode": "latency"}, "latency is no mode but an option: write `latency: true` beside the mode"),
    ({**COHORT, "mode": "dimension"}, "write `dimension: FIELD` beside the mode"),
    ({**COHORT, "mode": "sliding"}, "'retention', 'churn', 'rolling' or 'cumulative'"),
    ({**COHORT, "dimension": "account"}, "'account' is no dimension"),
    ({**COHORT, "top": 5}, "top: bounds the rows of a dimension, and there is none"),
    ({**COHORT, "inclusion": {"match": TYPE_A, "number": 1.5}}, "whole numbers"),
    ({**COHORT, "inclusion": {"all": []}}, "at least 1"),
    ({**FLOW, "starts_with": "a", "contains": "b"}, "one anchor, not starts_with and contains"),
    ({**FLOW, "limit": "first"}, "limit: first goes with starts_with"),
    ({**FLOW, "starts_with": "a", "limit": "last"}, "limit: last goes with ends_with"),
    ({**FLOW, "contains": "a", "columns": 2}, "at least 3"),
    ({**FLOW, "stages": ["a"]}, "at least 2"),
    ({**FLOW, "stages": ["a", "b", "a"]}, "stage a: stands there more than once"),
    ({**FLOW, "contains": "a", "columns": 51}, "at most 50 where every anchor counts"),
    ({**COHORT, "inclusion": {"any": [{"all": [{"match": TYPE_A}] * 64}]}}, "65 thresholds"),
    ({**FLOW, "dimension": "account"}, "'account' is no dimension"),
    ({**FLOW, "name": "Not A Slug"}, "pattern"),
    ({**FLOW, "filter": {"match": TYPE_A}}, "write {has: {match: CONDITION}} for the containers"),
    (
        {**FLOW, "filter": {"all": [{"account": {"has": {"match": TYPE_A}}}]}},
        "account: a filter asks for the analysis' own container, or",
    ),
    ({**COHORT, "filter": {"opportunity": {"has": {"match": TYPE_A}}}}, "opportunity: a filter asks for"),
    ({**FLOW, "filter": {"person": HAS_A}}, "no account lies under one person; only a session can be asked first"),
    ({**COHORT, "filter": {"person": HAS_A}}, "person is the analysis' own container"),
    ({**FLOW, "container": "session", "filter": {"person": HAS_A, "then": {"account": HAS_A}}}, "outermost first"),
    ({**FLOW, "container": "session", "filter": {"some": "session", "that": HAS_A}}, "under one session; nothing does"),
    ({**COHORT, "filter": {"not": {"some": "opportunity", "that": HAS_A}}}, "under one person; session does"),
    (
        {**COHORT, "filter": {"account": {"some": "person", "that": {"some": "session", "that": HAS_A}}}},
        "some: person: one `some` within another can not be asked",
    ),
    ({**COHORT, "filter": {"account": {"match": TYPE_A}}}, "write {has:"),
    ({**FLOW, "filter": {"account": {"has": {"match": TYPE_A}}}}, "account is the analysis' own container"),
    ({**FLOW, "filter": {"have": {"match": TYPE_A}}}, "has"),
    ({**FLOW, "filter": "has"}, "valid dictionary"),
    ({**FLOW, "filter": {"last": {"all": [TYPE_A]}}}, "field"),
    ({**FLOW, "filter": {"any": []}}, "at least 1"),
    ({**FLOW, "filter": {"not": {"touchpoints": TYPE_A}}}, "touchpoints: is the innermost level"),
    ({**FLOW, "filter": {"touchpoints": {"has": {"match": TYPE_A}}}}, "Field required"),
    ({**FLOW, "filter": {"has": {"match": TYPE_A, "number": 0.5}}}, "whole numbers"),
    (
        {**FLOW, "filter": {"all": [{"not": {"any": [{"has": {"match": TYPE_A}}] * 65}}]}},
        "65 times has or last",
    ),
    (
        {
            **FLOW,
            "filter": {"any": [{"last": {"field": f"attributes.a{n}", "op": "=", "value": "x"}} for n in range(33)]},
        },
        "66 times has or last, where each last counts twice",
    ),
    ({**FLOW, "segment": "customers"}, "Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("analysis", "said"), WRONG)
def test_a_wrong_analysis_says_what_would_be_right(analysis: dict[str, Any], said: str) -> None:
    """What is wrong, or not offered yet, is refused and never ignored."""
    with pytest.raises(ValidationError, match=said):
        file_of(analysis)


def test_what_is_in_force_is_read_although_a_rule_came_later() -> None:
    """Else nothing could take its place."""
    many = [{"last": {"field": "attributes.a", "op": "=", "value": str(n)}} for n in range(33)]
    for segments, wanted in (({}, {"any": many}), ({"a": {"any": many}}, {"segment": "a"})):
        file = {"version": 1, "segments": segments, "analyses": [{**FLOW, "filter": wanted}]}
        assert DefinitionFile.model_validate(file).analyses[0].filter is not None
        with pytest.raises(ValidationError, match="66 times"):
            DefinitionFile.model_validate(file, context=BEING_WRITTEN)


def test_a_wrong_file_says_what_would_be_right() -> None:
    """Zones must be known, and names of analyses differ."""
    with pytest.raises(ValidationError, match="no IANA time zone"):
        file_of(CANVAS, zone="Mars/Olympus")
    with pytest.raises(ValidationError, match="analysis c: stands there more than once"):
        file_of(CANVAS, CANVAS)


def test_defaults_are_those_of_the_documentation() -> None:
    """Periods follow the granularity; a parent is what has an arrow to a node; an anchor may be a condition."""
    canvas, cohort, flow = file_of(CANVAS, COHORT, {**FLOW, "ends_with": {"match": TYPE_A}}).analyses
    assert isinstance(canvas, Canvas)
    assert (canvas.parents("b"), canvas.parents("a")) == (["a"], [])
    assert cohort.kind == "cohort"
    assert (cohort.period_count, cohort.mode, cohort.include) == (26, "retention", "first")
    assert flow.kind == "flow"
    assert isinstance(flow.ends_with, AnchorMatch)


def test_durations_are_absolute() -> None:
    """A day has 24 hours and a week seven such days; the time between limits may be a hundredth of `after`."""
    lengths = {"90s": 90_000, "2m": 120_000, "2h": 7_200_000, "1d": 86_400_000, "2w": 1_209_600_000}
    for text, length in lengths.items():
        arrow = Arrow.model_validate({**AB, "within": text})
        assert (arrow.within_ms, arrow.after_ms) == (length, 0)
        assert Arrow.model_validate({**AB, "after": text}).after_ms == length
    assert Arrow.model_validate({**AB, "within": "101h", "after": "100h"}).is_limited
    assert not Arrow.model_validate(AB).is_limited


def test_fallout_becomes_final_when_every_arrow_closes() -> None:
    """After the longest of the limits; never where one arrow has none, or where there is none."""

    def closes(*limits: dict[str, str]) -> int | None:
        arrows = [{"from": "a", "to": f"b{n}", **each} for n, each in enumerate(limits)]
        nodes = [{"id": each, "match": TYPE_A} for each in ("a", "b0", "b1")]
        canvas = file_of({**CANVAS, "nodes": nodes, "arrows": arrows}).analyses[0]
        assert isinstance(canvas, Canvas)
        return canvas.falls_out_after_ms("a")

    assert closes({"within": "2h"}, {"within": "1h"}) == 7_200_000
    assert closes({"within": "2h"}, {"after": "1h"}) is closes({}) is closes() is None


def test_a_model_has_the_shape_of_its_mapping() -> None:
    """Conditions can be given as models too."""
    every = All.model_validate({"all": [TYPE_A]})
    assert shape_of(every) == "all"
    assert All.model_validate({"all": [every]}).all == [every]
    assert shape_of(3) == "match"


EMPTY = DefinitionSet(())


def published(file: DefinitionFile, before: DefinitionSet = EMPTY) -> tuple[DefinitionSet, list[str]]:
    """The set behind a publication, and what did not change."""
    records, unchanged = publications(file, before, 5)
    values = {d.analysis.name: b"" for d in before.definitions}
    kept = {d.analysis.name: d for d in before.definitions}
    assert all(records[name] is None for name in values if name not in {a.name for a in file.analyses})
    fresh = definition_set_of({name: value for name, value in records.items() if value is not None})
    stays = [kept[name] for name in unchanged]
    return DefinitionSet(tuple(sorted([*fresh.definitions, *stays], key=lambda d: d.analysis.name))), unchanged


def test_a_version_changes_with_its_definition_and_only_then() -> None:
    """Publishing again keeps versions; a changed option, zone or a removed analysis changes the set's hash."""
    first, unchanged = published(file_of(CANVAS, FLOW))
    assert unchanged == []
    same, unchanged = published(file_of(CANVAS, FLOW), first)
    assert (same, unchanged, same.hash) == (first, ["c", "f"], first.hash)
    changed, unchanged = published(file_of({**CANVAS, "metric": "events"}, FLOW), first)
    assert unchanged == ["f"]
    assert changed.hash != first.hash
    elsewhere, unchanged = published(file_of(CANVAS, FLOW, zone="Europe/Berlin"), first)
    assert unchanged == []
    fewer, _ = published(file_of(CANVAS), first)
    assert fewer.named("f") is None
    assert fewer.named("c") == first.named("c")
    assert elsewhere.hash != first.hash


def test_analyses_that_are_not_in_the_file_go_or_stay_as_is_said() -> None:
    """They go where the file is the set, and stay where it is put beside them."""
    records, _ = publications(file_of(CANVAS, FLOW), EMPTY, 5)
    before = definition_set_of({name: value for name, value in records.items() if value is not None})
    assert publications(file_of(FLOW), before, 6)[0] == {file_of(CANVAS).analyses[0].name: None}
    assert publications(file_of(FLOW), before, 6, keeps_others=True)[0] == {}


def test_a_definition_that_can_not_be_read_is_refused_by_name() -> None:
    """A record of another format, or none at all, stops the worker with what to do."""
    records, _ = publications(file_of(FLOW), EMPTY, 5)
    future = (records["f"] or b"").replace(b'"format":1', b'"format":2')
    unknown = (records["f"] or b"").replace(b'"kind":"flow"', b'"kind":"river"')
    for value in (future, unknown, b"nonsense"):
        with pytest.raises(MismatchError, match="definition 'f' on the topic"):
            definition_set_of({"f": value})


def test_other_midnights_are_refused() -> None:
    """A definition published with another tzdata is not computed with ours."""
    in_force, _ = published(file_of(CANVAS))
    require_tzdata(in_force)
    elsewhere = DefinitionSet(tuple(msgspec.structs.replace(d, tzdata="1999.1") for d in in_force.definitions))
    with pytest.raises(MismatchError, match=r"published with tzdata 1999\.1"):
        require_tzdata(elsewhere)


def test_the_calendar_of_a_definition_can_be_made() -> None:
    """Every first day of the week that a file may name is known."""
    for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"):
        assert Calendar("UTC", file_of(FLOW, week_start=day).week_start).day_of(0) == 0


def test_what_replaces_a_version_that_is_shown_takes_it_along_until_it_is_retired() -> None:
    """However often it is changed before readers see the change; and what was said of a version that nobody mentions
    any more is taken away with the next publication."""
    topic: dict[str, bytes] = {}
    versions: list[str] = []

    def publish(**changes: str) -> DefinitionSet:
        records, _ = publications(file_of({**CANVAS, **changes}), definition_set_of(topic), 5, {"c": versions[0]})
        records |= dict.fromkeys(stale_retirements(topic, records))
        topic.update({key: value for key, value in records.items() if value is not None})
        for key in [key for key, value in records.items() if value is None]:
            del topic[key]
        return definition_set_of(topic)

    versions.append("none yet")
    first = publish()
    versions[0] = first.definitions[0].version
    assert first.replaced == ()
    for change in ("events", "value"):
        changed = publish(metric=change)
        assert [each.version for each in changed.replaced] == versions
        assert changed.shown("c", lambda version: version == versions[0]) == first.definitions[0]
        assert changed.shown("c", lambda _: True) == changed.definitions[0]
        assert changed.shown("c", lambda _: False) is None
        assert changed.seen("c", lambda _: True) == first.definitions[0]
        assert changed.seen("c", lambda _: False) == changed.definitions[0]
    topic[Retirement(versions[0], "a version before").key] = RETIREMENT_VALUE
    assert definition_set_of(topic) == changed
    topic[Retirement(versions[0], changed.definitions[0].version).key] = RETIREMENT_VALUE
    retired = definition_set_of(topic)
    assert (retired.replaced, retired.definitions) == ((), changed.definitions)
    assert retired.seen("c", lambda _: True) == changed.definitions[0]
    versions[0] = retired.definitions[0].version
    assert [each.version for each in publish(metric="events").replaced] == versions
    assert list(topic) == ["c"]
