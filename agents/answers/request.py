"""A question over HTTP as values: what may be asked, within which bounds, and what is wrong with one that may not."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import parse_qs

import msgspec

from state.definition_set import Definition, DefinitionSet
from state.definitions import ContainerKind
from state.figures import figure_of
from state.figures.figure import Figure
from state.render.ranges import dates_of, dates_text, days_of
from state.story import FILTERS
from streams.answers import Problem
from streams.errors import MilepostError
from streams.shown import shown
from streams.touchpoint import EVENT_TIME_MAX_MS

PARAMETERS_MAX = 200
QUERY_BYTES_MAX = 64 * 1024
_TITLES = {
    400: "The question can not be answered", 404: "There is no such thing", 405: "It is not asked so",
    409: "It was changed meanwhile", 411: "The length is missing", 413: "It is too large", 415: "It is not JSON",
    421: "Another worker answers this", 503: "Not now",
}  # fmt: skip
FILTER_BY_PARAMETER = {
    "types": "type", "people": "person", "channels": "channel", "opportunities": "opportunity",
    "groups": "buying_group", "sessions": "session",
}  # fmt: skip
assert set(FILTER_BY_PARAMETER.values()) == set(FILTERS)


Default = TypeVar("Default", int, None)


class ProblemError(MilepostError):
    """What is answered instead of what was asked for."""

    def __init__(self, status: int, detail: str, owner: str | None = None, version: str | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(_TITLES[status], status, detail, owner, version)


class Parameters:
    """The parameters of a request; each is taken once, and what nobody takes is a mistake."""

    def __init__(self, query: str) -> None:
        try:
            if len(query) > QUERY_BYTES_MAX:
                raise ValueError(f"it has more than {QUERY_BYTES_MAX} bytes")
            self._found = parse_qs(query, strict_parsing=bool(query), max_num_fields=PARAMETERS_MAX, errors="strict")
        except ValueError as error:
            raise ProblemError(400, f"the query can not be read: {shown(str(error), 300)}") from error

    def texts(self, name: str) -> list[str]:
        """All values of a parameter that may stand there more than once."""
        return self._found.pop(name, [])

    def text(self, name: str) -> str | None:
        """The value, None where there is none. Raises ProblemError for several."""
        found = self.texts(name)
        if len(found) > 1:
            raise ProblemError(400, f"{name} stands there {len(found)} times; once is right")
        return found[0] if found else None

    def required(self, name: str, what: str) -> str:
        """The value. Raises ProblemError with `what` it is where there is none."""
        found = self.text(name)
        if found is None:
            raise ProblemError(400, f"{name} is missing: {what}")
        return found

    def count(self, name: str, default: Default, most: int) -> int | Default:
        """A whole number from 1 to `most`, the default where there is none."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 16 and 1 <= int(text) <= most):
            raise ProblemError(400, f"{name} is {shown(text, 50)!r}; it is a number from 1 to {most}")
        return int(text)

    def require_all_taken(self) -> None:
        """Raises ProblemError for a parameter that the question does not have."""
        if self._found:
            names = ", ".join(shown(name, 50) for name in sorted(self._found)[:10])
            raise ProblemError(400, f"this question has no parameter {names}")

    def filters(self) -> dict[str, set[str]]:
        """The wanted values by field; each of a field is a parameter of its own."""
        found = {field: set(self.texts(name)) for name, field in FILTER_BY_PARAMETER.items()}
        return {field: values for field, values in found.items() if values}


class Asked(msgspec.Struct, frozen=True):
    """Which number is asked about; clock_ms: of the snapshot that shows it, where the number depends on it."""

    definition: Definition
    cell: str
    days: tuple[int, int] | None
    dates: tuple[str, str] | None
    clock_ms: int | None = None

    def figure(self) -> Figure:
        """The number as a sum over cells. Raises UsageError where there is none."""
        return figure_of(self.definition, self.cell, self.days, self.clock_ms)


def number_asked(parameters: Parameters, definitions: DefinitionSet, is_complete: Callable[[str], bool]) -> Asked:
    """The number that `analysis`, `v`, `cell`, `range` and `clock_ms` name; without `v` of the version that readers
    see. Raises ProblemError and UsageError.

    is_complete: whether a version counts all accounts, as far as is known here.
    """
    name = parameters.required("analysis", "the name of the analysis")
    definition = definition_asked(definitions, name, parameters.text("v"), lambda: definitions.seen(name, is_complete))
    cell = parameters.required("cell", "the address of the number, see docs/formats.md")
    text = parameters.text("range")
    if text is None and definition.analysis.last is not None:
        raise ProblemError(
            400, f"range is missing: {name} covers the last {definition.analysis.last}; the snapshot says which days"
        )  # fmt: skip
    days = None if text is None else days_of(dates_of(text))
    clock_ms = parameters.count("clock_ms", None, EVENT_TIME_MAX_MS)
    return Asked(definition, cell, days, None if days is None else dates_text(days), clock_ms)


def definition_asked(
    definitions: DefinitionSet, name: str, version: str | None, seen: Callable[[], Definition | None]
) -> Definition:
    """The version of an analysis; without one what readers see under the name, `seen`, or the newest where they see
    nothing yet. Raises ProblemError where there is no such one."""
    newest = definitions.named(name)
    if newest is None:
        known = [each.analysis.name for each in definitions.definitions]
        raise ProblemError(404, f"there is no analysis {shown(name, 100)!r}; there are {_listed(known)}")
    if version is None:
        return seen() or newest
    by_version = {each.version: each for each in definitions.every if each.analysis.name == name}
    if version not in by_version:
        raise ProblemError(404, f"{name} is in force as version {' and '.join(by_version)}, not {shown(version, 50)!r}")
    return by_version[version]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:50]) or "none"


KIND_BY_NAME: Mapping[str, ContainerKind] = {kind.value: kind for kind in ContainerKind}
