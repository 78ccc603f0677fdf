"""Milestones in a definition file: what is right, what is wrong and what is said then; and how they are published."""

from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from state.definition_set import DefinitionSet, definition_set_of, publications
from state.definitions import DefinitionFile, Milestone
from state.definitions.milestone import ArrowNotFollowed, NodeReached, moment_ms
from state.layers import LayerReader
from state.milestone_set import MILESTONE_KEY, decode_milestone, encode_milestone
from state.rows import LAYERS_KEY, layout_key, pack
from streams.errors import MismatchError
from tests.state.memory_store import MemoryStore
from tests.state.milestone_worlds import milestone_definition
from tests.state.partitions import Partition
from tests.state.test_rules import canvas, is_
from tests.state.worlds import START, definition_set, touchpoint

CANVAS = {**canvas("A", "B", "C"), "name": "way"}
MATCH = {"match": is_("A")}
EMPTY = DefinitionSet(())


def file_of(*milestones: dict[str, Any], analysis: dict[str, Any] = CANVAS) -> DefinitionFile:
    """A file with an analysis and milestones."""
    return DefinitionFile.model_validate({"version": 1, "analyses": [analysis], "milestones": [*milestones]})


def milestone(when: dict[str, Any] = MATCH, name: str = "it", **options: Any) -> dict[str, Any]:
    """One of accounts."""
    return {"name": name, "container": "account", "when": when, **options}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a session": (milestone(container="session"), "nothing is told of a session; take account"),
    "nothing to cross": (milestone({**MATCH, "at_least": 0}), "is not above 0"),
    "half a touchpoint": (milestone({**MATCH, "at_least": 1.5}), "counted in whole numbers"),
    "too many": (milestone({**MATCH, "at_least": 1_001, "within": "1h"}), "1000 is the most"),
    "too small": (milestone({**MATCH, "metric": "value", "at_least": 0.0000001}), "at most six decimals"),
    "both": (milestone({"field": "type", "for": "1h", "only": ["a"], "except": ["b"]}), "only or except, not both"),
    "a node each time": (milestone({"canvas": "way", "node": "n1"}, each=True), "is reached once"),
    "no moment": (milestone(alert_since="soon"), "'soon' is no moment; write 2026-01-31"),
    "a link of nothing": (milestone(links={"crm": "https://x/{name}"}), "{name} is none of {account}"),
    "a brace": (milestone(links={"crm": "https://x/{account"}), "a brace stands alone"),
    "no canvas": (milestone({"canvas": "other", "node": "n1"}), "there is no canvas 'other'; the canvases are way"),
    "no node": (milestone({"canvas": "way", "node": "n9"}), "has no node 'n9'; its nodes are n0, n1, n2"),
    "no arrow": (
        milestone({"canvas": "way", "arrow": {"from": "n0", "to": "n2"}, "within": "1h"}),
        "no arrow n0 -> n2",
    ),
    "another container": (milestone({"canvas": "way", "node": "n1"}, container="person"), "take that as container"),
    "another owner": (milestone(owner="person"), "owner"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told(case: str) -> None:
    """In words that say what would be right."""
    said, words = WRONG[case]
    with pytest.raises(ValidationError) as error:
        file_of(said)
    assert words in str(error.value)


def test_a_canvas_with_a_filter_can_not_be_asked() -> None:
    """Its gates turn on rows of other containers."""
    filtered = {**CANVAS, "filter": {"has": MATCH}}
    with pytest.raises(ValidationError, match="has a filter, which can not be asked"):
        file_of(milestone({"canvas": "way", "node": "n1"}), analysis=filtered)


def test_two_of_one_name_are_refused() -> None:
    """As two analyses are; an analysis and a milestone may have the same."""
    with pytest.raises(ValidationError, match="milestone it: stands there more than once"):
        file_of(milestone(), milestone())
    assert file_of(milestone(name="way")).milestones[0].name == "way"


def test_mistakes_of_analyses_are_told_alone() -> None:
    """Milestones on canvases that are wrong are not judged."""
    with pytest.raises(ValidationError) as error:
        file_of(milestone({"canvas": "way", "node": "n1"}), analysis={**CANVAS, "nodes": []})
    assert error.value.error_count() == 1


def test_a_milestone_has_the_part_of_the_canvas_that_it_needs() -> None:
    """What leads to the node, or to the origin and along the arrow; without what is only counted or shown."""
    whole = {**CANVAS, "nodes": [{**CANVAS["nodes"][0], "title": "A"}, *CANVAS["nodes"][1:]], "trend": True}
    node, arrow = file_of(
        milestone({"canvas": "way", "node": "n1"}),
        milestone({"canvas": "way", "arrow": {"from": "n0", "to": "n1"}, "within": "1h"}, name="late"),
        analysis=whole,
    ).milestones
    for each in (node, arrow):
        assert isinstance(each.when, NodeReached | ArrowNotFollowed)
        graph = each.when.graph
        assert graph is not None
        assert [(each.id, each.title) for each in graph.nodes] == [("n0", None), ("n1", None)]
        assert [(each.from_, each.to) for each in graph.arrows] == [("n0", "n1")]


def test_moments_are_utc_unless_they_say() -> None:
    """A day is its first moment."""
    assert moment_ms("2026-01-31") == moment_ms("2026-01-31T01:00:00+01:00") == 1_769_817_600_000


def published(file: DefinitionFile, before: DefinitionSet = EMPTY, **options: Any) -> tuple[DefinitionSet, list[str]]:
    """The set behind publishing a file at the time 5, and the keys that did not change."""
    records, unchanged = publications(file, before, 5, **options)
    known = {each.analysis.name: b"" for each in before.definitions}
    assert not known.keys() & {key for key, value in records.items() if value is None and key == "way"}
    return definition_set_of({key: value for key, value in records.items() if value is not None}), unchanged


def test_alerts_begin_with_the_publication_unless_something_else_is_said() -> None:
    """The option of the command before the definition, the definition before the publication."""
    file = file_of(milestone(name="a"), milestone(name="b", alert_since="1970-01-02"))
    assert [each.since_ms for each in published(file)[0].milestones] == [5, 86_400_000]
    assert [each.since_ms for each in published(file, alert_since_ms=0)[0].milestones] == [0, 0]


def test_what_does_not_change_keeps_its_version_and_what_is_gone_is_removed() -> None:
    """A milestone on a canvas changes with the part of it that it needs."""
    on_canvas = milestone({"canvas": "way", "node": "n0"}, name="on")
    before, _ = published(file_of(milestone(), on_canvas, milestone(name="gone")))
    file = file_of(milestone(), on_canvas, analysis={**CANVAS, "arrows": []})
    records, unchanged = publications(file, before, 6)
    assert unchanged == ["!milestone it", "!milestone on"]
    assert records[MILESTONE_KEY + "gone"] is None
    other = {**CANVAS, "nodes": [{"id": "n0", "match": is_("X")}], "arrows": []}
    assert MILESTONE_KEY + "on" in publications(file_of(on_canvas, analysis=other), before, 6)[0]
    kept, _ = publications(file_of(analysis={**CANVAS, "title": "Other"}), before, 6, keeps_others=True)
    assert set(kept) == {"way"}


def test_the_set_s_hash_knows_milestones() -> None:
    """Another version is another set."""
    made = milestone_definition("it", {"container": "account", "when": MATCH})
    sets = [DefinitionSet((), (), each) for each in ((), (made,), (msgspec.structs.replace(made, version="w"),))]
    assert len({each.hash for each in sets}) == 3


def test_what_is_published_is_read_again() -> None:
    """Whatever the condition; what another milepost wrote is refused in words."""
    for when in ({"canvas": "way", "node": "n1"}, {"field": "type", "for": "1h", "except": ["a"]}, MATCH):
        made = milestone_definition("it", {"container": "account", "when": when, "canvas": CANVAS}, 7)
        assert decode_milestone(encode_milestone(made)) == made
    other = encode_milestone(made).replace(b'"format":1', b'"format":2')
    with pytest.raises(MismatchError, match="format 2, this milepost reads 1"):
        definition_set_of({MILESTONE_KEY + "it": other})


def test_rows_of_a_layout_without_milestones_are_read() -> None:
    """As the build before wrote them."""
    partition = Partition(definition_set([CANVAS]))
    partition.take([touchpoint("1", START, "A")])
    (before,) = partition.store.get([layout_key(1)])
    assert before is not None
    definitions, replaced, milestones, _ = msgspec.msgpack.decode(before)
    assert milestones == []
    store = MemoryStore()
    store.rows = {LAYERS_KEY: partition.store.rows[LAYERS_KEY], layout_key(1): pack([definitions, replaced])}
    reader = LayerReader(store, lambda: (0, EMPTY))
    assert reader.layers().newest.versions == {"way"}


def test_a_milestone_says_itself_what_it_is() -> None:
    """Without a file, as it stands on the topic: a canvas is there already."""
    (on_canvas,) = file_of(milestone({"canvas": "way", "node": "n1"})).milestones
    assert Milestone.model_validate(on_canvas.model_dump(mode="json", by_alias=True, exclude_none=True)) == on_canvas
