"""Segments by name: what they stand for, what is refused, and what makes another version."""

from typing import Any

import pytest
from pydantic import ValidationError

from state.definition_set import DefinitionSet, definition_set_of, publications
from state.definitions import DefinitionFile
from state.matches import BEING_WRITTEN
from tests.state.test_definitions import FLOW, TYPE_A

HAS_A: dict[str, Any] = {"has": {"match": TYPE_A}}
HAS_B: dict[str, Any] = {"has": {"match": {"field": "type", "value": "B"}}}

NOT_A_NAMED: dict[str, Any] = {"not": {"segment": "a"}}


def file_with(segments: dict[str, Any], *filters: Any, container: str = "opportunity") -> DefinitionFile:
    """A file with these segments, and a flow per filter, None for one without."""
    flows = [
        {**FLOW, "name": f"f{n}", "container": container, **({} if each is None else {"filter": each})}
        for n, each in enumerate(filters)
    ]
    return DefinitionFile.model_validate({"version": 1, "segments": segments, "analyses": flows}, context=BEING_WRITTEN)


@pytest.mark.parametrize(
    ("segments", "wanted", "written_out"),
    [
        ({"a": HAS_A}, {"segment": "a"}, HAS_A),
        ({"a": HAS_A}, {"all": [{"segment": "a"}, {"not": {"segment": "a"}}]}, {"all": [HAS_A, {"not": HAS_A}]}),
        ({"b": NOT_A_NAMED, "a": HAS_A}, {"any": [{"segment": "b"}, HAS_B]}, {"any": [{"not": HAS_A}, HAS_B]}),
        ({"a": HAS_A}, {"account": {"segment": "a"}, "then": {"segment": "a"}}, {"account": HAS_A, "then": HAS_A}),
        ({"a": HAS_A}, {"account": {"segment": "a"}}, {"account": HAS_A}),
        (
            {"a": HAS_A, "t": {"touchpoints": TYPE_A, "of": {"segment": "a"}}},
            {"account": {"segment": "a"}, "then": {"segment": "t"}},
            {"account": HAS_A, "then": {"touchpoints": TYPE_A, "of": HAS_A}},
        ),
        ({"t": {"touchpoints": TYPE_A}}, {"segment": "t"}, {"touchpoints": TYPE_A}),
        (
            {"a": HAS_A, "t": {"touchpoints": TYPE_A}, "p": {"person": {"segment": "a"}, "then": {"segment": "t"}}},
            {"account": {"some": "person", "that": {"segment": "a"}}, "then": {"segment": "p"}},
            {
                "account": {"some": "person", "that": HAS_A},
                "then": {"person": HAS_A, "then": {"touchpoints": TYPE_A}},
            },
        ),
        ({"c": {"account": HAS_A, "then": HAS_B}}, {"segment": "c"}, {"account": HAS_A, "then": HAS_B}),
    ],
)  # fmt: skip
def test_a_name_stands_for_its_segment(segments: dict[str, Any], wanted: Any, written_out: Any) -> None:
    """Wherever a segment stands, also within another one: what is computed and published has no names."""
    found, expected = (
        file_with(*each, container="session").analyses for each in ((segments, wanted), ({}, written_out))
    )
    assert found == expected


@pytest.mark.parametrize(
    ("segments", "wanted", "said"),
    [
        ({"a": HAS_A, "b": HAS_B}, {"segment": "c"}, "there is no segment 'c'; there are: a, b"),
        ({}, {"not": {"segment": "c"}}, "there is no segment 'c'; there are: none; `segments:"),
        ({"a": {"not": {"segment": "c"}}}, None, "there is no segment 'c'; there are: a"),
        ({"a": {"not": {"segment": "a"}}}, None, "segments stand for each other: a -> a"),
        (
            {"a": {"any": [HAS_A, {"segment": "b"}]}, "b": {"not": {"segment": "c"}}, "c": {"segment": "a"}},
            {"segment": "a"},
            "segments stand for each other: a -> b -> c -> a",
        ),
        ({"c": {"account": HAS_A}}, {"not": {"segment": "c"}}, "segment c asks first for the account"),
        (
            {"c": {"account": HAS_A}},
            {"account": HAS_A, "then": {"segment": "c"}},
            "segment c asks first for the account",
        ),
        ({"p": {"person": HAS_A}}, {"not": {"segment": "p"}}, "segment p asks first for the person"),
        ({"t": {"touchpoints": TYPE_A}}, {"any": [{"segment": "t"}]}, "segment t chooses touchpoints, so it can not"),
        ({"a": {"all": [HAS_A] * 40}}, {"any": [{"segment": "a"}, {"segment": "a"}]}, "80 times has or last"),
        ({"a": HAS_A, "A b": HAS_A}, None, "pattern"),
        ({"a": {"match": TYPE_A}}, {"segment": "a"}, "write {has:"),
        (
            {"s0": HAS_A, **{f"s{n}": {"not": {"segment": f"s{n - 1}"}} for n in range(1, 400)}},
            None,
            "nested more than 32 deep",
        ),
    ],
)
def test_a_wrong_name_says_what_would_be_right(segments: dict[str, Any], wanted: Any, said: str) -> None:
    """A name that is not there, names that stand for each other, and too much behind a name."""
    with pytest.raises(ValidationError, match=said) as found:
        file_with(segments, wanted)
    assert len(found.value.errors()) == 1, "it is said once"


def test_a_name_must_fit_where_it_is_used() -> None:
    """What asks for the account is no segment of accounts."""
    with pytest.raises(ValidationError, match="account is the analysis' own container"):
        file_with({"c": {"account": HAS_A}}, {"segment": "c"}, container="account")


def test_a_changed_segment_makes_versions_of_what_uses_it_and_of_nothing_else() -> None:
    """Directly or through another segment; one that is renamed, added or taken away unused makes none."""
    uses = ({"segment": "a"}, {"not": {"segment": "n"}}, HAS_B, None)
    before = {"a": HAS_A, "n": {"not": {"segment": "a"}}}

    def unchanged_after(segments: dict[str, Any], *filters: Any) -> list[str]:
        records, _ = publications(file_with(before, *uses), DefinitionSet(()), 5)
        in_force = definition_set_of({name: value for name, value in records.items() if value is not None})
        return publications(file_with(segments, *filters), in_force, 6)[1]

    assert unchanged_after({**before, "a": HAS_B}, *uses) == ["f2", "f3"]
    assert unchanged_after({**before, "n": HAS_A}, *uses) == ["f0", "f2", "f3"]
    renamed = {"x": HAS_A, "y": {"not": {"segment": "x"}}, "z": HAS_B}
    assert unchanged_after(renamed, {"segment": "x"}, {"not": {"segment": "y"}}, {"segment": "z"}, None) == [
        "f0", "f1", "f2", "f3",
    ]  # fmt: skip
