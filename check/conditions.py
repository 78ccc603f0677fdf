"""Match conditions as SQL over the table `touchpoint`: always TRUE or FALSE, never NULL.

The law: a field that a touchpoint lacks equals nothing and differs from everything; only `exists` asks for it. Numbers
equal numbers, text text and booleans booleans, so an attribute of another kind than the value is just different.
`matches` is a search with RE2, whose classes are ASCII, in the beginning of the text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import assert_never

from check.literals import Literals
from check.numbers import real_sql, whole_sql
from state.definitions import (
    AllThresholds,
    Analysis,
    AnchorMatch,
    AnyThreshold,
    Canvas,
    Cohort,
    Flow,
    Threshold,
    Thresholds,
)
from state.definitions.segment import questions_of, touchpoints_of
from state.matches import MATCHED_CHARACTERS_MAX, NUMBER_FIELDS, TEXT_FIELDS, All, Any_, Condition, Match, Not, Operator
from streams.touchpoint import MILLIONTHS

ATTRIBUTE_PREFIX = "attributes."
Scalar = str | int | float | bool


class ConditionWriter:
    """Writes the conditions of one statement. `columns` names the columns of each attribute by its name: `a0` stands
    for a0_text, a0_whole, a0_real, a0_truth, a0_shown and a0_whole_text."""

    def __init__(self, columns: Mapping[str, str], literals: Literals) -> None:
        self._columns = columns
        self._literals = literals

    def sql(self, condition: Condition) -> str:
        """The condition as a boolean expression in brackets."""
        match condition:
            case All():
                return "(" + " AND ".join(self.sql(each) for each in condition.all) + ")"
            case Any_():
                return "(" + " OR ".join(self.sql(each) for each in condition.any) + ")"
            case Not():
                return f"(NOT {self.sql(condition.not_)})"
            case Match():
                return f"coalesce({self._match_sql(condition)}, FALSE)"
            case _ as never:
                assert_never(never)

    def shown(self, field: str) -> str:
        """The expression for a dimension's value as text, NULL where it is absent."""
        return self._text_of(field, "shown")

    def whole_text(self, field: str) -> str:
        """The expression for a field's value as text, however long, NULL where it is absent."""
        return self._text_of(field, "whole_text")

    def _text_of(self, field: str, column: str) -> str:
        return f"{self._attribute(field)}_{column}" if field.startswith(ATTRIBUTE_PREFIX) else _plain_column(field)

    def _match_sql(self, match: Match) -> str:
        values = match.value if isinstance(match.value, list) else [match.value]
        wanted: list[Scalar] = [value for value in values if value is not None]
        match match.op:
            case Operator.EXISTS:
                is_there = f"{self.shown(match.field)} IS NOT NULL"
                return f"NOT ({is_there})" if match.value is False else is_there
            case Operator.EQUAL | Operator.IN:
                return self._is_one_of(match.field, wanted)
            case Operator.NOT_EQUAL | Operator.NOT_IN:
                return f"NOT coalesce({self._is_one_of(match.field, wanted)}, FALSE)"
            case Operator.CONTAINS | Operator.STARTS_WITH:
                function = _FUNCTION_BY_OPERATOR[match.op]
                return f"{function}({self._text_column(match.field)}, {self._literals.text(str(wanted[0]))})"
            case Operator.MATCHES:
                text = f"left({self._text_column(match.field)}, {MATCHED_CHARACTERS_MAX})"
                return f"regexp_matches({text}, {self._literals.text(str(wanted[0]))})"
            case _:
                return self._compared(match.field, str(match.op), wanted[0])

    def _is_one_of(self, field: str, wanted: list[Scalar]) -> str:
        return "(" + " OR ".join(f"coalesce({self._equals(field, each)}, FALSE)" for each in wanted) + ")"

    def _equals(self, field: str, wanted: Scalar) -> str:
        match wanted:
            case str():
                return f"{self._text_column(field)} = {self._literals.text(wanted)}"
            case bool():
                return f"{self._attribute(field)}_truth = {self._literals.truth(wanted)}"
            case _:
                return self._compared(field, "=", wanted)

    def _compared(self, field: str, op: str, wanted: Scalar) -> str:
        if field == "value":
            return whole_sql("value", op, millionths_of(wanted), self._literals)
        number = Fraction(wanted)
        if field in NUMBER_FIELDS:
            return whole_sql(_plain_column(field), op, number, self._literals)
        column = self._attribute(field)
        whole = whole_sql(f"{column}_whole", op, number, self._literals)
        return f"coalesce({whole}, {real_sql(f'{column}_real', op, number, self._literals)})"

    def _text_column(self, field: str) -> str:
        return f"{self._attribute(field)}_text" if field.startswith(ATTRIBUTE_PREFIX) else _plain_column(field)

    def _attribute(self, field: str) -> str:
        return self._columns[field.removeprefix(ATTRIBUTE_PREFIX)]


_FUNCTION_BY_OPERATOR = {
    Operator.CONTAINS: "contains",
    Operator.STARTS_WITH: "starts_with",
}


def _plain_column(field: str) -> str:
    # The name becomes SQL text, so it has to be one of those that are known, whatever validation said before.
    if field not in TEXT_FIELDS and field not in NUMBER_FIELDS:
        raise ValueError(f"{field!r} is no field of a touchpoint")
    return field


def millionths_of(amount: Scalar) -> Fraction:
    """An amount as the file says it in decimals, in millionths; never rounded."""
    return Fraction(Decimal(str(amount))) * MILLIONTHS


def attribute_columns(analyses: Iterable[Analysis], others: Iterable[str] = ()) -> dict[str, str]:
    """The attributes that these analyses read, and others among these fields, each with the stem of its columns: a0,
    a1, ..."""
    fields = {field for analysis in analyses for field in fields_of(analysis)} | {*others}
    names = sorted(field.removeprefix(ATTRIBUTE_PREFIX) for field in fields if field.startswith(ATTRIBUTE_PREFIX))
    return {name: f"a{i}" for i, name in enumerate(names)}


def fields_of(analysis: Analysis) -> Iterator[str]:
    """The fields that an analysis reads in conditions and as its dimension; some more than once."""
    for asked in [] if analysis.filter is None else questions_of(analysis.filter):
        yield from fields_of_condition(asked.match if isinstance(asked, Threshold) else asked)
    if analysis.filter is not None and (seen := touchpoints_of(analysis.filter)) is not None:
        yield from fields_of_condition(seen)
    match analysis:
        case Canvas():
            if analysis.steps is not None:
                yield analysis.steps.dimension
            for node in analysis.nodes:
                yield from fields_of_condition(node.match)
                if node.breakdown is not None:
                    yield node.breakdown.dimension
        case Cohort():
            if analysis.dimension is not None:
                yield analysis.dimension
            for leaf in (*leaves_of(analysis.inclusion), *leaves_of(analysis.return_)):
                yield from fields_of_condition(leaf.match)
        case Flow():
            yield analysis.dimension
            yield from (step.dimension for step in analysis.steps or [] if step.dimension is not None)
            for anchor in (analysis.starts_with, analysis.ends_with):
                if isinstance(anchor, AnchorMatch):
                    yield from fields_of_condition(anchor.match)
        case _ as never:
            assert_never(never)


def fields_of_condition(condition: Condition) -> Iterator[str]:
    """The fields that a condition reads; some more than once."""
    match condition:
        case All() | Any_():
            for each in condition.all if isinstance(condition, All) else condition.any:
                yield from fields_of_condition(each)
        case Not():
            yield from fields_of_condition(condition.not_)
        case _:
            yield condition.field


def leaves_of(thresholds: Thresholds) -> Iterator[Threshold]:
    """The thresholds inside all and any, from left to right."""
    match thresholds:
        case AllThresholds():
            for each in thresholds.all:
                yield from leaves_of(each)
        case AnyThreshold():
            for each in thresholds.any:
                yield from leaves_of(each)
        case _:
            yield thresholds


def thresholds_sql(thresholds: Thresholds, leaf_sql: Callable[[Threshold], str]) -> str:
    """The thresholds joined by AND and OR; `leaf_sql` writes one, and is called in the order of `leaves_of`."""
    match thresholds:
        case AllThresholds():
            return "(" + " AND ".join(thresholds_sql(each, leaf_sql) for each in thresholds.all) + ")"
        case AnyThreshold():
            return "(" + " OR ".join(thresholds_sql(each, leaf_sql) for each in thresholds.any) + ")"
        case _:
            return leaf_sql(thresholds)
