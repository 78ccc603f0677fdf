"""Filters of a flow's columns, of whole paths and in SQL: a path counts when each filter admits it.

`only` wants one of its items in the column, so a path that ends before it does not count; `except` wants none of them.
"""

import duckdb

from check.literals import Literals
from state.definitions import Flow


def has_filters(flow: Flow) -> bool:
    """Whether any column has one."""
    return any(step.only or step.except_ for step in flow.steps or [])


def is_admitted(flow: Flow, back: tuple[str, ...], fore: tuple[str, ...]) -> bool:
    """Whether a path counts; `back` begins beside the anchor, `fore` with it."""
    shown = {**dict(enumerate(fore)), **{-number: value for number, value in enumerate(back, 1)}}
    for step in flow.steps or []:
        if step.only and shown.get(step.step) not in step.only:
            return False
        if step.except_ and shown.get(step.step) in step.except_:
            return False
    return True


def keep_admitted(connection: duckdb.DuckDBPyConnection, flow: Flow) -> None:
    """Takes every path that does not count out of the table `walk`."""
    for step in flow.steps or []:
        literals = Literals()
        listed = ", ".join(literals.text(item) for item in step.only or step.except_ or [])
        if listed:
            having = f"SELECT place FROM walk WHERE step = {step.step} AND shown IN ({listed})"
            refused = "NOT IN" if step.only else "IN"
            connection.execute(f"DELETE FROM walk WHERE place {refused} ({having})", literals.values)
