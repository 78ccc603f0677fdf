"""A moment as an option of a command."""

from typing import Any

import click

from state.definitions.milestone import moment_ms


class Moment(click.ParamType):
    """2026-01-31, which is UTC, or 2026-01-31T08:00:00+01:00; milliseconds for the command."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        try:
            return moment_ms(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
