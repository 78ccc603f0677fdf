"""What was counted against the budgets beside the code."""

import sys
from collections.abc import Iterator
from types import ModuleType

import state.budget
import streams.budget
from streams.budget import INSTRUCTIONS_OF, Cost

TOLERANCE = 0.05
_TABLES: tuple[ModuleType, ...] = (streams.budget, state.budget)


def budgets() -> dict[str, Cost]:
    """By scenario."""
    return {name: cost for table in _TABLES for name, cost in table.BUDGETS.items()}


def place_of(name: str) -> str:
    """The file with the budget of a scenario."""
    return next(f"{table.__name__.replace('.', '/')}.py" for table in _TABLES if name in table.BUDGETS)


def grown(budget: Cost, found: Cost) -> list[str]:
    """What is more than the budget allows, each in words; nothing when all is well."""
    return [_told(*each) for each in _judged(budget, found) if each[2] > each[1] * (1 + TOLERANCE)]


def fallen(budget: Cost, found: Cost) -> list[str]:
    """What is so much less that the budget guards it no longer."""
    return [_told(*each) for each in _judged(budget, found) if each[2] < each[1] * (1 - TOLERANCE)]


def _judged(budget: Cost, found: Cost) -> Iterator[tuple[str, int, int]]:
    """Of what is comparable on this Python: its name, the budget, what was found."""
    for name in Cost.__struct_fields__:
        if name != "instructions" or sys.version_info[:2] == INSTRUCTIONS_OF:
            yield name, getattr(budget, name), getattr(found, name)


def _told(name: str, budget: int, found: int) -> str:
    change = f"{found / budget - 1:+.1%}" if budget else "new"
    return f"{name}: {found:,} where the budget is {budget:,} ({change})"
