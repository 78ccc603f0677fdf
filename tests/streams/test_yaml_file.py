"""YAML files: plain values, places, and what is refused."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from ruamel.yaml import YAML

from streams import yaml_file
from streams.errors import UnavailableError, UsageError
from streams.yaml_file import explain, load_yaml, locate


class Round(BaseModel):
    """One branch of a union."""

    model_config = ConfigDict(extra="forbid", strict=True)
    shape: Literal["round"]
    radius: int


class Square(BaseModel):
    """The other one."""

    model_config = ConfigDict(extra="forbid", strict=True)
    shape: Literal["square"]
    edge: int


class Box(BaseModel):
    """A branch that its key chooses, and not a value."""

    model_config = ConfigDict(extra="forbid", strict=True)
    around: Square
    thickness: int = 1


class Boxes(BaseModel):
    """The other one."""

    model_config = ConfigDict(extra="forbid", strict=True)
    each: list["Frame"]


Frame = Annotated[
    Annotated[Box, Tag("around")] | Annotated[Boxes, Tag("each")],
    Discriminator(lambda found: "each" if isinstance(found, dict) and "each" in found else "around"),
]


class Drawing(BaseModel):
    """A file's root."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: str
    shapes: list[Annotated[Round | Square, Field(discriminator="shape")]] = []
    frame: Frame | None = None


def write(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(folder: Path, text: str) -> str:
    path = write(folder, text)
    value, positions = load_yaml(path)
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate(value)
    return explain(path, positions, caught.value, Drawing).replace(str(path), "F")


# Without YAML 1.1's other line breaks, which ruamel writes as they are and reads as breaks.
_CHARACTERS = st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029")
# It writes a text that begins with `?` within brackets without quotes as well, and reads it as a key.
_text = st.text(_CHARACTERS).filter(lambda text: not text.startswith("?"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz-_", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(value=st.lists(plain))
def test_values_are_what_was_written(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any plain value comes back as it was dumped."""
    path = tmp_path_factory.mktemp("yaml") / "f.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(value, file)
    assert load_yaml(path)[0] == value


def test_dates_and_yes_stay_text(tmp_path: Path) -> None:
    """What other readers turn into dates or booleans is the text that the file shows."""
    value, _ = load_yaml(write(tmp_path, "a: 2024-01-31\nb: yes\nc: 0x1F\n1: x\n"))
    assert value == {"a": "2024-01-31", "b": "yes", "c": 31, "1": "x"}


def test_places_are_lines_and_columns_from_one(tmp_path: Path) -> None:
    """A value is found where it stands, and what is absent at what is around it."""
    _, positions = load_yaml(write(tmp_path, "a: 1\nb:\n  - x\n  - c: {d: 2}\n"))
    assert locate(positions, ("a",)) == (1, 4)
    assert locate(positions, ("b", 1, "c", "d")) == (4, 12)
    assert locate(positions, ("b", "a tag", 0)) == (3, 5)
    assert locate(positions, ("b", 1, "missing")) == locate(positions, ("b", 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("a: 1\nb: 2\na: 3\n", ":3:1: the key 'a' stands twice"),
        ("a: [1, 2\n", "this is no YAML"),
        ("a: 1\n---\nb: 2\n", "this is no YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", ":1:4: the tag"),
        ("a: !thing x\n", ":1:4: the tag !thing is not read"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n", ":3:3: merge keys"),
        ("? [1, 2]\n: 3\n", "a key is text"),
        ("a: &a [*a]\n", "100 levels"),
        (
            "a0: &a0 [x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)),
            "200000",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Repeated keys, tags, merges, several documents and bombs of aliases are refused, with their place."""
    with pytest.raises(UsageError) as caught:
        load_yaml(write(tmp_path, text))
    assert said in str(caught.value)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    """A missing file and one that is not UTF-8 are said to be so."""
    with pytest.raises(UnavailableError, match="can not be read"):
        load_yaml(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(UsageError, match=r"latin.yaml:2: .*UTF-8"):
        load_yaml(tmp_path / "latin.yaml")


def test_unknown_key_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    """An unknown key is pointed at itself, with the keys of its own branch only."""
    said = complaint(tmp_path, "title: x\nshapes:\n  - shape: round\n    radius: 1\n    radios: 2\n")
    assert (
        said
        == "F:5:5: shapes[0].radios: this key is not known here; did you mean radius? The keys here are shape, radius"
    )


def test_unknown_key_where_a_key_chose_the_branch(tmp_path: Path) -> None:
    """The known keys are those of the branch, not those of what lies under the key by which it is called."""
    known = "F:{}: this key is not known here; The keys here are around, thickness"
    said = complaint(tmp_path, "title: x\nframe: {edge: 1}\n").splitlines()
    assert said == ["F:2:1: frame.around: this key is missing", known.format("2:9: frame.edge")]
    within = complaint(tmp_path, "title: x\nframe: {each: [{edge: 1}]}\n").splitlines()
    assert within == ["F:2:16: frame.each[0].around: this key is missing", known.format("2:17: frame.each[0].edge")]
    square = complaint(tmp_path, "title: x\nframe: {around: {shape: square, edge: 1, edges: 1}}\n")
    assert square.endswith("did you mean edge? The keys here are shape, edge")


def test_missing_key_and_wrong_values_are_explained(tmp_path: Path) -> None:
    """Every wrong place has a line of its own: what was found and what is right."""
    said = complaint(tmp_path, "shapes:\n  - {shape: square, edge: '1'}\n  - {shape: star}\n").splitlines()
    assert said == [
        "F:1:1: title: this key is missing",
        "F:2:27: shapes[0].edge: should be a valid integer; found '1'",
        "F:3:5: shapes[1]: shape should be one of 'round', 'square'; found 'star'",
    ]


def test_root_that_is_no_mapping(tmp_path: Path) -> None:
    """A list where a mapping is promised says so."""
    assert complaint(tmp_path, "- 1\n") == "F:1:1: file: should be a mapping (key: value); found a list of 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, ":1:101: this is no YAML: maximum depth"),
        ("? " * 100_000, "maximum depth"),
        ("[" + "a," * 50_000 + "]", "more than 1000 values"),
        ("%YAML 1.1\n---\na: 1" + ":59" * 100_000, ":3:4: a number has at most 400 characters"),
        ("a: " + "9" * 100_000, ":1:4: a number has at most 400 characters"),
    ],
)
@pytest.mark.timeout(60)
def test_little_text_does_not_become_much(
    tmp_path: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Depth, values and numbers are bounded while the file is read."""
    if "values" in said:
        monkeypatch.setattr(yaml_file, "VALUE_COUNT_MAX", 1_000)
    with pytest.raises(UsageError) as caught:
        load_yaml(write(tmp_path, text))
    assert said in str(caught.value)


def test_what_a_file_holds_is_shown_and_bounded(tmp_path: Path) -> None:
    """A terminal obeys nothing of a name or value that a complaint repeats."""
    said = complaint(tmp_path, '"a\\e[2J": 1\n"' + "b" * 900 + '": 1\ntitle: "\\e[1m"\n')
    assert "\x1b" not in said
    assert "a\\x1b[2J: this key is not known" in said
    assert len(said) < 5_000
