"""`milepost check`: are the live numbers those of a batch computation over the same touchpoints?"""

import click
from rich.console import Console

from agents.checking import DIFFERENCES_SHOWN, print_report, run_check
from agents.completion import waiting_counts
from agents.connection import connect, with_settings
from agents.settings import Settings
from agents.terminal.marks import json_text
from streams.errors import MilepostError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, with every difference.")
@click.option("--show", type=click.IntRange(0), default=DIFFERENCES_SHOWN, show_default=True, help="Differences shown.")
@with_settings
def command(settings: Settings, as_json: bool, show: int) -> None:
    """Compute every analysis anew from the touchpoints and compare it with the live numbers, cell by cell.

    Works at any time, also while events come in. Ends with 1 when a number differs.
    """
    status = Console(stderr=True).status("")
    with connect(settings, start=False) as bootstrap, status:
        report = run_check(bootstrap, settings, lambda step: status.update(f"check: {step}"))
        unread, behind = waiting_counts(bootstrap, settings, report.applied)
    if as_json:
        click.echo(json_text(report))
    else:
        print_report(report, Console(), show)
        if unread or behind:
            click.echo(f"Not in these numbers yet: {unread:,} source records and {behind:,} touchpoints.")
    if report.difference_count:
        raise MilepostError(f"{report.difference_count} live numbers differ from the batch computation")
