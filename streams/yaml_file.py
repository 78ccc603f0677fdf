"""YAML files that users write: read safely, with the place of every value, so that an error can point at it.

The law: the value is plain (dict, list, str, int, float, bool, None) and means what the file shows: a key stands once,
no tag builds an object, a date stays the text it is, and neither aliases nor depth can make much out of little. What is
said of a file is bounded, and shows what stands there without a terminal obeying it.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from streams.errors import UnavailableError, UsageError
from streams.shown import did_you_mean, shown

FILE_BYTES_MAX = 8 * 2**20
VALUE_COUNT_MAX = 200_000
DEPTH_MAX = 100
PROBLEM_COUNT_MAX = 10
PROBLEM_CHARACTERS_MAX = 1_000
NUMBER_CHARACTERS_MAX = 400
"""The largest float in plain digits has 309."""
_CORE = "tag:yaml.org,2002:"

Loc = Sequence[str | int]


class Position(msgspec.Struct):
    """Where a value stands, and its key: lines and columns from 1; `children` by key or index."""

    line: int
    column: int
    key_line: int
    key_column: int
    children: "dict[str | int, Position]" = {}


def load_yaml(path: Path) -> tuple[Any, Position]:
    """The value of the one document in a file, and where its parts stand.

    Raises UnavailableError when the file can not be read, UsageError with file, line and column when it is not such a
    document.
    """
    text = _text(path)
    try:
        node = _composed(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        said = shown(str(error.problem or error.context), PROBLEM_CHARACTERS_MAX)
        raise UsageError(f"{where}: this is no YAML: {said}") from error
    except YAMLError as error:
        raise UsageError(f"{path}: this is no YAML: {shown(str(error), PROBLEM_CHARACTERS_MAX)}") from error
    if node is None:
        raise UsageError(f"{path}: the file is empty")
    return _Reader(path).read(node, node, 0)


def locate(positions: Position, path: Loc) -> tuple[int, int]:
    """Line and column, from 1, of the value at `path`, or of the nearest thing around it that the file has.

    Parts of the path that the file does not have are passed over: pydantic names the branch of a union among them.
    """
    found = _walk(positions, path)[0]
    return found.line, found.column


def explain_value(value: Any, error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """The same for a value that comes from no file: `path: what was found, what is right`."""
    return _explained(_places_of(value), error, model, lambda _line, _column: "")


def explain(file: Path, positions: Position, error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """A validation error in the user's words, a line each: `file:line:column: path: what was found, what is right`.

    With the `model` that was validated, an unknown key is answered with the keys that are known there.
    """
    return _explained(positions, error, model, lambda line, column: f"{file}:{line}:{column}: ")


def _explained(
    positions: Position, error: ValidationError, model: type[BaseModel] | None, place: Callable[[int, int], str]
) -> str:
    problems = list({str(p["loc"]): p for p in error.errors(include_url=False)}.values())
    lines = [_line(place, positions, dict(problem), model) for problem in problems[:PROBLEM_COUNT_MAX]]
    if len(problems) > PROBLEM_COUNT_MAX:
        lines.append(f"and {len(problems) - PROBLEM_COUNT_MAX} more")
    return "\n".join(lines)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UnavailableError(f"{path} can not be read: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise UsageError(f"{path} is larger than {FILE_BYTES_MAX} bytes; is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


class _BoundedComposer(Composer):
    """Stops while a file is read and not when it fills the memory: a node takes some 800 bytes."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # the later one counts, as YAML has it
        self._count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._count += 1
        if self._count > VALUE_COUNT_MAX:
            mark = self.parser.peek_event().start_mark
            raise MarkedYAMLError(problem=f"more than {VALUE_COUNT_MAX} values", problem_mark=mark)
        return super().compose_node(parent, index)


def _composed(text: str) -> Node | None:
    """The file's node graph, in which an alias is the very node it names."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    yaml.max_depth = DEPTH_MAX
    node: Node | None = yaml.compose(text)
    return node


class _Reader:
    """Builds the plain value and the positions of one file's node graph."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self._scalar = YAML(typ="safe", pure=True).constructor.construct_object

    def read(self, node: Node, key: Node, depth: int) -> tuple[Any, Position]:
        """The value of `node`, which stands under `key` (itself when it has none)."""
        self._count += 1
        if self._count > VALUE_COUNT_MAX or depth > DEPTH_MAX:
            raise self._error(node, f"more than {VALUE_COUNT_MAX} values or {DEPTH_MAX} levels, aliases written out")
        position = _position(node, key)
        if isinstance(node, MappingNode):
            return self._mapping(node, position, depth), position
        if isinstance(node, SequenceNode):
            return self._sequence(node, position, depth), position
        return self._plain(node), position

    def _mapping(self, node: MappingNode, position: Position, depth: int) -> dict[str, Any]:
        if node.tag != f"{_CORE}map":
            raise self._error(node, f"the tag {node.tag} is not read; write a plain mapping")
        value: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in value:
                raise self._error(key_node, f"the key {key!r} stands twice; take one away")
            value[key], position.children[key] = self.read(value_node, key_node, depth + 1)
        return value

    def _sequence(self, node: SequenceNode, position: Position, depth: int) -> list[Any]:
        if node.tag != f"{_CORE}seq":
            raise self._error(node, f"the tag {node.tag} is not read; write a plain list")
        value = []
        for index, child in enumerate(node.value):
            one, position.children[index] = self.read(child, child, depth + 1)
            value.append(one)
        return value

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise self._error(node, "a key is text, not a list or a mapping")
        if node.tag == f"{_CORE}merge":
            raise self._error(node, "merge keys (<<) are not read; write the keys out")
        # A key such as 2024 or true is text here; what is asked for by name is a name.
        return str(node.value)

    def _plain(self, node: Node) -> str | int | float | bool | None:
        match node.tag:
            case "tag:yaml.org,2002:str" | "tag:yaml.org,2002:timestamp":
                return str(node.value)
            case "tag:yaml.org,2002:int" | "tag:yaml.org,2002:float" | "tag:yaml.org,2002:bool":
                return self._number(node)
            case "tag:yaml.org,2002:null":
                return None
        raise self._error(node, f"the tag {node.tag} is not read; write plain text, or quote it")

    def _number(self, node: Node) -> int | float | bool:
        if len(node.value) > NUMBER_CHARACTERS_MAX:
            raise self._error(node, f"a number has at most {NUMBER_CHARACTERS_MAX} characters; quote it if it is text")
        try:
            found = self._scalar(node)
        except (ValueError, KeyError, YAMLError) as error:
            raise self._error(
                node, f"{node.value!r} is no {str(node.tag).removeprefix(_CORE)}; quote it if it is text"
            ) from error
        assert isinstance(found, int | float)
        return found

    def _error(self, node: Node, what: str) -> UsageError:
        mark = node.start_mark
        said = shown(what, PROBLEM_CHARACTERS_MAX)
        return UsageError(f"{self._path}:{mark.line + 1}:{mark.column + 1}: {said}")


def _position(node: Node, key: Node) -> Position:
    # A block starts on the line after its key, and an editor is better sent to the key.
    mark = node.start_mark if isinstance(node, ScalarNode) else key.start_mark
    at_key = key.start_mark
    return Position(mark.line + 1, mark.column + 1, at_key.line + 1, at_key.column + 1, {})


def _walk(positions: Position, path: Loc) -> tuple[Position, list[str | int], list[str | int]]:
    """The deepest position on the path, the parts the file has, and those after the last of them."""
    there: list[str | int] = []
    rest: list[str | int] = []
    for part in path:
        child = positions.children.get(part)
        if child is None:
            rest.append(part)
        else:
            positions, rest = child, []
            there.append(part)
    return positions, there, rest


def _places_of(value: Any) -> Position:
    """What there is, without lines and columns."""
    position = Position(0, 0, 0, 0, {})
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    position.children.update({key: _places_of(part) for key, part in parts})
    return position


def _line(
    place: Callable[[int, int], str], positions: Position, problem: dict[str, Any], model: type[BaseModel] | None
) -> str:
    position, there, rest = _walk(positions, problem["loc"])
    kind = problem["type"]
    line, column = position.line, position.column
    if kind == "extra_forbidden":
        line, column = position.key_line, position.key_column
    where = shown(_path_text([*there, *rest[-1:]] if kind == "missing" else there), PROBLEM_CHARACTERS_MAX)
    return f"{place(line, column)}{where}: {shown(_words(problem, model), PROBLEM_CHARACTERS_MAX)}"


def _path_text(path: Loc) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "file"


def _words(problem: dict[str, Any], model: type[BaseModel] | None) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return _unknown_key(problem["loc"], model)
        case "missing":
            return "this key is missing"
        case "value_error":
            return str(problem["ctx"]["error"])
        case "union_tag_invalid":
            asked = problem["ctx"]
            key = asked["discriminator"].strip("'")
            return f"{key} should be one of {asked['expected_tags']}; found {asked['tag']!r}"
        case "union_tag_not_found":
            return f"{problem['msg']}; found {_shown(problem['input'])}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"should be a mapping (key: value); found {_shown(problem['input'])}"
    message = str(problem["msg"]).replace("Input should be", "should be", 1)
    found = problem["input"]
    return f"{message}; found {_shown(found)}"


def _shown(found: Any) -> str:
    if isinstance(found, dict):
        return f"a mapping with {', '.join(map(str, found)) or 'no keys'}"
    if isinstance(found, list):
        return f"a list of {len(found)}"
    return "nothing" if found is None else repr(found)[:100]


def _unknown_key(loc: Loc, model: type[BaseModel] | None) -> str:
    if model is None or not (known := _known_keys(model, loc[:-1])):
        return "this key is not known here; take it away"
    return f"this key is not known here; {did_you_mean(str(loc[-1]), tuple(known))}The keys here are {', '.join(known)}"


def _known_keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that a model has at `loc`; those of every branch where a union leaves several."""
    models: dict[type[BaseModel], str | None] = {model: None}
    for part in loc:
        if len(models) > 1:  # the branch of a union
            models = {each: tag for each, tag in models.items() if _is_branch(each, tag, part)} or models
        elif found := [field for each in models if (field := _fields(each).get(str(part)))]:
            models = dict(_models(found[0].annotation))
    return list(dict.fromkeys(key for each in models for key in _fields(each)))


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    model.model_rebuild()  # it may name types that come behind it
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _is_branch(model: type[BaseModel], tag: str | None, part: str | int) -> bool:
    """Whether a part of a place names the branch of a union: by its tag, its name, or a value that chooses it."""
    if part in (tag, model.__name__):
        return True
    return any(part in get_args(field.annotation) for field in model.model_fields.values())


def _models(
    annotation: Any, tag: str | None = None, seen: frozenset[Hashable] = frozenset()
) -> Iterator[tuple[type[BaseModel], str | None]]:
    """The models in an annotation, each with its tag in a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, tag
    parts = get_args(annotation)
    tag = next((part.tag for part in parts if isinstance(part, Tag)), tag)
    for part in parts:
        if part not in seen:
            yield from _models(part, tag, seen | {annotation})
