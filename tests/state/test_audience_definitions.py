"""Audiences in a definition file: what is refused, in which words, and what stands on the topic."""

from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from state.analyses.audiences.words import condition_words, words_of
from state.audience_set import AUDIENCE_KEY, decode_audience, encode_audience
from state.definition_set import DefinitionSet, definition_set_of, publications
from state.definitions import DefinitionFile
from state.definitions.audience import ArrowFollowed, questions_of
from state.layers import LayerReader
from state.matches import BEING_WRITTEN, Match
from state.rows import LAYERS_KEY, layout_key, pack
from streams.errors import MismatchError
from tests.state.memory_store import MemoryStore
from tests.state.partitions import Partition
from tests.state.test_rules import canvas, is_
from tests.state.worlds import START, touchpoint

CANVAS = {**canvas("A", "B", "C"), "name": "way"}
COHORT = {
    "name": "co", "kind": "cohort", "container": "account", "granularity": "month", "periods": 3,
    "inclusion": {"match": is_("A")}, "return": {"match": is_("B")},
}  # fmt: skip
MILESTONE = {"name": "m", "container": "account", "when": {"match": is_("A")}}
HAS = {"has": {"match": is_("A")}}
NODE = {"canvas": "way", "node": "n1"}
EMPTY = DefinitionSet(())


def file_of(*audiences: dict[str, Any], **others: Any) -> DefinitionFile:
    """A file with a canvas, a cohort, a milestone and audiences."""
    file = {"version": 1, "analyses": [CANVAS, COHORT], "milestones": [MILESTONE], "audiences": [*audiences]}
    return DefinitionFile.model_validate(file | others, context=BEING_WRITTEN)


def audience(when: dict[str, Any] | None = HAS, **options: Any) -> dict[str, Any]:
    """One of accounts."""
    return {"name": "it", "container": "account", **({} if when is None else {"when": when}), **options}


def has(**options: Any) -> dict[str, Any]:
    """A threshold on A."""
    return audience({"has": {"match": is_("A"), **options}})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": (audience(None), "from or when says who is in it: one of them"),
    "both": (audience(HAS, **{"from": NODE}), "from or when says who is in it: one of them"),
    "from a threshold": (audience(None, **{"from": HAS}), "from takes a canvas' node or arrow, or a cohort"),
    "a session": (audience(container="session"), "nothing is told of a session"),
    "another container": (audience({"person": HAS}), "asks its own container and no other one"),
    "what lies under it": (audience({"some": "person", "that": HAS}), "asks its own container and no other one"),
    "a named segment": (audience({"segment": "x"}), "named segments are for filters"),
    "a bare match": (audience({"match": is_("A")}), "write {has: {match: CONDITION}}"),
    "half a touchpoint": (has(number=0.5), "counted in whole numbers"),
    "too many": (has(number=1_001, within="1d"), "from 0 to 1000"),
    "no period": (audience({"cohort": "co", "period": "last"}), "'last' is no period; write a day in it"),
    "no year": (audience({"cohort": "co", "period": 26}), "'26' is no period"),
    "yes": (audience({"cohort": "co", "period": True}), "valid string"),
    "no month": (audience({"cohort": "co", "period": "2026-13"}), "'2026-13' is no period"),
    "long ago": (audience({"cohort": "co", "period": "0026-03"}), "'0026-03' is a period without events"),
    "far ahead": (audience({"cohort": "co", "period": "2206-03"}), "of the years 1970 to 2199"),
    "a short day": (audience({"cohort": "co", "period": "2026-1-1"}), "'2026-1-1' is no period"),
    "no such column": (audience({"cohort": "co", "period": "2026", "returned": 4}), "has 3 columns"),
    "no cohort": (audience({"cohort": "x", "period": "2026"}), "there is no cohort 'x'; the cohorts are co"),
    "no canvas": (audience({"canvas": "x", "node": "n1"}), "there is no canvas 'x'"),
    "no canvas in a line": (audience(None, **{"from": {"canvas": "x", "node": "n"}}), "from: there is no canvas 'x'"),
    "no node": (audience({"canvas": "way", "node": "n9"}), "has no node 'n9'"),
    "no arrow": (audience({"canvas": "way", "arrow": "n0>n2"}), "no arrow n0 -> n2"),
    "half an arrow": (audience({"canvas": "way", "arrow": "n0"}), "arrow"),
    "a limit on a followed one": (audience({"canvas": "way", "arrow": "n0>n1", "within": "1d"}), "followed: false"),
    "no milestone": (audience({"milestone": "x"}), "there is no milestone 'x'; there are: m"),
    "a canvas of others": (audience(NODE, container="person"), "take that as container"),
    "a cohort of others": (audience({"cohort": "co", "period": "2026"}, container="person"), "take that as container"),
    "a milestone of others": (audience({"milestone": "m"}, container="person"), "take that as container"),
    "too much": (audience({"all": [HAS] * 61}), "61 questions; an audience has at most 60"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told(case: str) -> None:
    """In words that say what would be right."""
    said, words = WRONG[case]
    with pytest.raises(ValidationError) as error:
        file_of(said)
    assert words in str(error.value)


def test_what_has_a_filter_can_not_be_asked() -> None:
    """Its gates turn on rows of other containers."""
    filtered = {"filter": {"has": {"match": is_("B")}}}
    with pytest.raises(ValidationError, match="the canvas way has a filter"):
        file_of(audience(NODE), analyses=[{**CANVAS, **filtered}])
    with pytest.raises(ValidationError, match="the cohort co has a filter"):
        file_of(audience({"cohort": "co", "period": "2026"}), analyses=[{**COHORT, **filtered}])


def test_a_file_that_is_wrong_elsewhere_is_told_of_that_alone() -> None:
    """What an audience would need of it is not there, and not asked for."""
    with pytest.raises(ValidationError) as error:
        file_of(audience(NODE), analyses=[{**CANVAS, "kind": "x"}])
    assert "audiences" not in str(error.value)


def test_two_of_one_name_are_refused() -> None:
    """An audience and a milestone may be called the same."""
    with pytest.raises(ValidationError, match="audience"):
        file_of(audience(), audience())
    file_of(audience(name="m"))


def test_arrows_are_written_in_two_ways() -> None:
    """A>B, and as everywhere else."""
    written = [{"arrow": "n0 > n1"}, {"arrow": {"from": "n0", "to": "n1"}}]
    first, second = (file_of(audience({"canvas": "way", **each})).audiences[0] for each in written)
    assert first == second
    assert isinstance(first.wanted, ArrowFollowed)


def test_a_year_needs_no_quotes() -> None:
    """YAML reads it as a number."""
    bare, quoted = (file_of(audience({"cohort": "co", "period": year})).audiences[0] for year in (2026, "2026"))
    assert bare == quoted


def test_editors_know_both_ways_to_write_an_arrow() -> None:
    """The schema takes text as well."""
    arrow = DefinitionFile.model_json_schema()["$defs"]["ArrowFollowed"]["properties"]["arrow"]
    assert arrow["anyOf"] == [{"$ref": "#/$defs/ArrowEnds"}, {"type": "string"}]


EVERYTHING = {
    "all": [
        NODE, {"canvas": "way", "arrow": "n0>n1"}, {"canvas": "way", "arrow": "n0>n1", "followed": False, "within":
        "3d"}, {"cohort": "co", "period": "2026-03"}, {"cohort": "co", "period": "2026-03", "returned": 1},
        {"milestone": "m", "within": "7d"}, {"not": {"any": [HAS, {"last": {"field": "attributes.tier", "value":
        "x"}}]}}, {"has": {"match": is_("A"), "metric": "value", "op": "<", "number": 2.5, "within": "30d"}},
    ]
}  # fmt: skip


def test_an_audience_says_itself_what_it_is() -> None:
    """Without a file, as it stands on the topic: what it asks of others is there already."""
    (made,) = file_of(audience(EVERYTHING)).audiences
    records, _ = publications(file_of(audience(EVERYTHING)), EMPTY, 5)
    value = records[f"{AUDIENCE_KEY}it"]
    assert value is not None
    published = decode_audience(value)
    assert published.audience == made
    assert decode_audience(encode_audience(published)) == published
    other = value.replace(b'"format":1', b'"format":2')
    with pytest.raises(MismatchError, match="format 2, this milepost reads 1"):
        definition_set_of({f"{AUDIENCE_KEY}it": other})


def test_what_is_unchanged_keeps_its_version() -> None:
    """Another part of the canvas that it asks is another version; what is left out is removed."""
    first, _ = publications(file_of(audience(NODE)), EMPTY, 5)
    in_force = definition_set_of({name: value for name, value in first.items() if value is not None})
    records, unchanged = publications(file_of(audience(NODE)), in_force, 6)
    assert (records, unchanged[-1]) == ({}, f"{AUDIENCE_KEY}it")
    wider = {**CANVAS, "nodes": [{**CANVAS["nodes"][0], "match": is_("X")}, *CANVAS["nodes"][1:]]}
    records, _ = publications(file_of(audience(NODE), analyses=[wider, COHORT]), in_force, 6)
    assert f"{AUDIENCE_KEY}it" in records
    records, _ = publications(file_of(), in_force, 6)
    assert records == {f"{AUDIENCE_KEY}it": None}
    assert publications(file_of(), in_force, 6, keeps_others=True)[0] == {}


def test_only_calendar_periods_belong_to_a_database_of_time_zones() -> None:
    """So another one changes no other audience."""
    records, _ = publications(
        file_of(audience(), audience({"cohort": "co", "period": "2026"}, name="period")), EMPTY, 5
    )
    found = {each.name: each.tzdata for each in definition_set_of({k: v for k, v in records.items() if v}).audiences}
    assert found["it"] == ""
    assert found["period"]


def test_rows_of_a_layout_without_audiences_are_read() -> None:
    """As the build before wrote them."""
    partition = Partition(EMPTY)
    partition.take([touchpoint("1", START, "A")])
    (before,) = partition.store.get([layout_key(1)])
    assert before is not None
    *former, audiences = msgspec.msgpack.decode(before)
    assert audiences == []
    layers = msgspec.msgpack.decode(partition.store.rows[LAYERS_KEY])
    store = MemoryStore()
    store.rows = {LAYERS_KEY: pack(layers[:-1]), layout_key(1): pack(former)}
    assert LayerReader(store, lambda: (0, EMPTY)).layers().row.leaving == []


def test_questions_have_words() -> None:
    """Of every kind, short enough to be read."""
    (made,) = file_of(audience(EVERYTHING)).audiences
    assert [words_of(each) for each in questions_of(made.wanted)] == [
        "reached n1 of way",
        "followed n0 > n1 of way",
        "did not follow n0 > n1 of way within 3d",
        "in 2026-03 of co",
        "in 2026-03 of co, returned 1 later",
        "milestone m within 7d",
        "count of type = A >= 1",
        "newest attributes.tier = x",
        "value of type = A < 2.5 within 30d",
    ]
    long = {"has": {"match": {"any": [is_("A" * 60), {"all": [is_("B"), {"not": is_("C" * 60)}]}]}}}
    (asked,) = questions_of(file_of(audience(long)).audiences[0].wanted)
    assert words_of(asked) == f"count of (type = {'A' * 60} or (type = B and not type = {'C' * 11}..."
    assert condition_words(Match.model_validate({"field": "person", "op": "exists"})) == "person exists"
    missing = Match.model_validate({"field": "person", "op": "exists", "value": False})
    assert condition_words(missing) == "person is missing"
