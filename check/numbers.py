"""Comparisons of numbers as SQL text that are exact for whole and floating columns and for any number compared with.

The law: SQL never converts a column. A number that the column's type can not hold is replaced by its neighbour that
can, with the comparison that then means the same; so 2**53 + 1 is not taken for 2**53.
"""

import math
from fractions import Fraction

from check.literals import Literals

_WHOLE_MAX = 2**120  # beyond every column, within HUGEINT


def whole_sql(column: str, op: str, number: Fraction, literals: Literals) -> str:
    """A whole column (BIGINT or HUGEINT) compared with `number` by one of = != > >= < <=; NULL where it is NULL."""
    below = math.floor(number)
    if below == number:
        return f"{column} {_sql_operator(op)} {literals.whole(_bounded(below))}"
    match op:
        case "=":
            return f"({column} IS NULL AND NULL)"
        case "!=":
            return f"({column} IS NOT NULL OR NULL)"
        case ">" | ">=":
            return f"{column} > {literals.whole(_bounded(below))}"
        case _:
            return f"{column} <= {literals.whole(_bounded(below))}"


def real_sql(column: str, op: str, number: Fraction, literals: Literals) -> str:
    """A DOUBLE column compared with `number` by one of = > >= < <=; NULL where it is NULL."""
    near = _nearest(number)
    if math.isfinite(near) and Fraction(near) == number:
        return f"{column} {op} {literals.real(near)}"
    is_above = near > number
    match op:
        case "=":
            return f"({column} IS NULL AND NULL)"
        case ">" | ">=":
            return f"{column} {'>=' if is_above else '>'} {literals.real(near)}"
        case _:
            return f"{column} {'<' if is_above else '<='} {literals.real(near)}"


def _sql_operator(op: str) -> str:
    return "<>" if op == "!=" else op


def _bounded(whole: int) -> int:
    return max(-_WHOLE_MAX, min(_WHOLE_MAX, whole))


def _nearest(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
