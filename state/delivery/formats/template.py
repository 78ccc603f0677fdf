"""Bodies that a template makes, for systems with an API of their own.

A part of Jinja, in its sandbox: a template reads the message and puts values into a text, with conditions and loops
over what the message holds. It calls nothing but `range`, assigns nothing, defines nothing and includes nothing, and
what it does is counted as it is done, so that no template takes more than a moment or more memory than a few bodies.
"""

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import Any

from jinja2 import StrictUndefined, Template, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

RANGE_MAX = 100
LOOPS_NESTED_MAX = 2
BODY_CHARACTERS_MAX = 262_144
WORK_MAX = 1_000_000
"""For one body: parts of the template that are done in loops, and characters that filters and sums make."""
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


_left: ContextVar[int] = ContextVar("left")
_COUNTED, _EACH = "counted ", "each "  # with a blank no template can name them


def _spend(work: int) -> None:
    left = _left.get() - work
    if left < 0:
        raise TemplateProblemError(f"the template does too much for one body: more than {WORK_MAX:,} steps")
    _left.set(left)


def _counted(value: Any) -> Any:
    _spend(1 + (len(value) if isinstance(value, str | list) else 0))
    return value


def _counting(found: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, whose result is counted."""

    @wraps(found)  # with what Jinja notes of its arguments
    def filtered(*arguments: Any, **named: Any) -> Any:
        return _counted(found(*arguments, **named))

    return filtered


def _each(values: Iterable[Any], work: int) -> Iterator[Any]:
    for value in values:
        _spend(work)
        yield value


class _Counting(NodeTransformer):
    """Has a template count what it does: each round of a loop by the parts in it, and what sums make."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        work = 1 + sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _EACH, nodes.Const(work))
        return node

    def visit_Add(self, node: nodes.Add) -> nodes.Node:
        return _filtered(self.generic_visit(node), _COUNTED)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        node.nodes = [_filtered(each, "string") for each in node.nodes]
        return node


def _filtered(node: Any, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)


# Not optimized: what is constant would be made while a template is read, in a time that grows with its depth's cube.
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, optimized=False
)
_ENVIRONMENT.globals = {"range": _bounded_range}
_ENVIRONMENT.filters = {name: _counting(_ENVIRONMENT.filters[name]) for name in FILTERS}
_ENVIRONMENT.filters |= {_COUNTED: _counted, _EACH: _each}


@lru_cache(maxsize=256)
def compiled(text: str) -> Template:
    """The template. Raises TemplateProblemError for what is none, or does what templates here may not."""
    try:
        parsed = _ENVIRONMENT.parse(text)
        _require_plain(parsed.body, 0)
        return _ENVIRONMENT.from_string(_Counting().visit(parsed))
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
    _left.set(WORK_MAX)
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
