"""YAML files that people write: read safely, with the place of everything, so that an error names file, line and path."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from streams.errors import UsageError

FILE_BYTES_MAX = 4 * 2**20

Position = tuple[int, int]
Location = tuple[str | int, ...]


class YamlFile:
    """A file as plain values, and where each of them stands."""

    def __init__(self, path: Path, tree: Any) -> None:
        self.path = path
        self._tree = tree
        self.plain = _plain(tree)

    def position_of(self, location: Location) -> Position:
        """(line, column), from 1, of the deepest part of `location` that the file has."""
        node, found = self._tree, (1, 1)
        for step in location:
            if isinstance(node, CommentedMap) and step in node:
                line, column = node.lc.key(step)
            elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
                line, column = node.lc.item(step)
            else:
                continue  # a step of the model that the file does not have, such as the name of a union's member
            node, found = node[step], (line + 1, column + 1)
        return found

    def explain(self, error: ValidationError) -> UsageError:
        """The error as a person can use it: every problem with its place, the path there, and what would be right."""
        lines = []
        for problem in error.errors(include_url=False, include_context=False):
            line, column = self.position_of(problem["loc"])
            path = ".".join(str(step) for step in self._steps_in_file(problem["loc"])) or "file"
            said = problem["msg"].removeprefix("Value error, ")
            found = problem["input"]
            shown = f", found {found!r}" if isinstance(found, str | int | float | bool) else ""
            lines.append(f"{self.path}:{line}:{column}: {path}: {said}{shown}")
        return UsageError("\n".join(lines))

    def _steps_in_file(self, location: Location) -> list[str | int]:
        """`location` without the steps that only the model has."""
        node, steps = self._tree, []
        for number, step in enumerate(location):
            is_there = (isinstance(node, CommentedMap) and step in node) or (
                isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node)
            )
            if is_there:
                node = node[step]
            if is_there or number == len(location) - 1:
                steps.append(step)
        return steps


def load_yaml(path: Path) -> YamlFile:
    """Reads a YAML file of up to 4 MiB: no aliases, no repeated keys, no tags that make objects.

    Raises UsageError with file and place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can not be read as UTF-8 text: {error}") from error
    if len(text) > FILE_BYTES_MAX:
        raise UsageError(f"{path}: {len(text)} characters; a definition or mapping has at most {FILE_BYTES_MAX}")
    yaml = YAML(typ="rt", pure=True)
    yaml.allow_duplicate_keys = False
    try:
        if any(getattr(token, "id", "") == "<alias>" for token in yaml.scan(text)):
            raise UsageError(f"{path}: aliases (*name) are not offered; write the part out")
        tree = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise UsageError(f"{path}:{place}: {error.problem or 'no YAML'}") from error
    except YAMLError as error:
        raise UsageError(f"{path}: no YAML: {error}") from error
    return YamlFile(path, tree)


def _plain(node: Any) -> Any:
    """Mappings, sequences and scalars without ruamel's types."""
    if isinstance(node, CommentedMap):
        return {_plain(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(part) for part in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node
