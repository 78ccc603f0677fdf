"""Bodies that a template makes, for systems with an API of their own.

A part of Jinja, in its sandbox: a template reads the message and puts values into a text, with conditions and loops
over what the message holds. It calls nothing but `range`, assigns nothing, defines nothing and includes nothing, so
that no template takes more than a moment or more memory than a body has.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

RANGE_MAX = 100
LOOPS_NESTED_MAX = 2
BODY_CHARACTERS_MAX = 262_144
FILTERS = ("tojson", "default", "upper", "lower", "title", "trim", "length", "first", "last", "int", "string", "escape")
_REFUSED = (
    nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.Block, nodes.Extends, nodes.Include, nodes.ImportedName,
    nodes.Import, nodes.FromImport, nodes.Assign, nodes.AssignBlock, nodes.With, nodes.Mul, nodes.Pow, nodes.Mod,
)  # fmt: skip
_LOOPED = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Call)


class TemplateProblemError(ValueError):
    """A template is none, or does not fit a message; its text holds nothing of a secret."""


def _bounded_range(*numbers: int) -> range:
    found = range(*numbers)
    if len(found) > RANGE_MAX:
        raise TemplateProblemError(f"a range has {RANGE_MAX} numbers at most")
    return found


_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
_ENVIRONMENT.globals = {"range": _bounded_range}
_ENVIRONMENT.filters = {name: _ENVIRONMENT.filters[name] for name in FILTERS}


@lru_cache(maxsize=256)
def compiled(text: str) -> Template:
    """The template. Raises TemplateProblemError for what is none, or does what templates here may not."""
    try:
        _require_plain(_ENVIRONMENT.parse(text).body, 0)
        return _ENVIRONMENT.from_string(text)
    except TemplateProblemError:
        raise
    except Exception as error:  # whatever Python says of the code that it becomes is the template's
        raise TemplateProblemError(f"this is no Jinja template: {error}") from error


def _require_plain(parts: Iterable[nodes.Node], loops: int) -> None:
    for node in parts:
        inside = loops
        if isinstance(node, _REFUSED):
            raise TemplateProblemError(f"line {node.lineno}: a template here has no {type(node).__name__.lower()}")
        if isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Name) and node.node.name == "range"):
            raise TemplateProblemError(f"line {node.lineno}: nothing is called but range")
        if isinstance(node, nodes.For):
            inside += 1
            if inside > LOOPS_NESTED_MAX or node.recursive or not isinstance(node.iter, _LOOPED):
                raise TemplateProblemError(
                    f"line {node.lineno}: loops go over what the message holds, {LOOPS_NESTED_MAX} deep at most"
                )
        _require_plain(node.iter_child_nodes(), inside)


def rendered(text: str, message: dict[str, Any]) -> str:
    """The body of a message. Raises TemplateProblemError when the template asks for what the message does not have.
    `| tojson` makes JSON of a value, quotes included."""
    parts: list[str] = []
    length = 0
    try:
        for part in compiled(text).generate(message):
            parts.append(part)
            length += len(part)
            if length > BODY_CHARACTERS_MAX:
                raise TemplateProblemError(f"the body has more than {BODY_CHARACTERS_MAX} characters")
    except TemplateProblemError:
        raise
    except Exception as error:  # as above
        raise TemplateProblemError(f"the template can not be filled in: {error}") from error
    return "".join(parts)
