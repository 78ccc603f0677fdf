"""A story as a terminal shows it: newest first, a line per touchpoint, milestones in words."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from agents.terminal.marks import TEXT_MAX, cut, number
from streams.answers import Milestone, StoryAnswer, Told, WhyAnswer

_WHO_WIDTH, _WHAT_WIDTH = 24, 44


class StoryView:
    """The rich renderable of a page of a story."""

    def __init__(self, story: StoryAnswer) -> None:
        self._story = story

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        story = self._story
        title = story.account if story.id is None else f"{story.id} · {story.account}"
        yield Text.assemble((cut(title, TEXT_MAX), "bold"), ("\n" + _kind_of(story.kind) + " · newest first", "dim"))
        yield ""
        if not story.touchpoints:
            yield Text("No touchpoint here.", "dim")
            return
        table = _table("when (UTC)", "", "what", "who", "source")
        for touchpoint in story.touchpoints:
            table.add_row(*_row(touchpoint))
        yield table
        yield ""
        yield _legend(story)


class WhyView:
    """The rich renderable of the touchpoints that made one container count."""

    def __init__(self, why: WhyAnswer) -> None:
        self._why = why

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        why = self._why
        title = why.account if why.id is None else f"{why.id} · {why.account}"
        what = f"{_kind_of(why.kind)} · what made it count at {cut(why.cell, TEXT_MAX)} of {why.analysis}"
        yield Text.assemble((cut(title, TEXT_MAX), "bold"), ("\n" + what, "dim"))
        yield ""
        if not why.touchpoints:
            yield Text("Nothing: it is not among the containers of this number.", "dim")
            return
        table = _table("adds", "when (UTC)", "", "what", "who", "source")
        for counted in why.touchpoints:
            table.add_row(signed(counted.amount), *_row(counted.touchpoint))
        yield table
        if why.is_cut:
            yield Text(f"There are more than these {number(len(why.touchpoints))}.", "dim")


def signed(amount: int | str | None) -> Text:
    """What something adds, with its sign; a dash where that is not known."""
    if amount is None:
        return Text("–", "dim")
    text = f"{amount:,}" if isinstance(amount, int) else amount
    return Text(text if text.startswith("-") else f"+{text}", "red" if text.startswith("-") else "green")


def moment(ms: int) -> str:
    """A time to the second, UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="dim")
    for title in titles:
        table.add_column(title, no_wrap=title != "what", justify="right" if title == "adds" else "left")
    return table


def _row(touchpoint: Told) -> Iterator[Text]:
    yield Text(moment(touchpoint.event_time))
    yield Text("●" if touchpoint.is_online else "○", "cyan" if touchpoint.is_online else "yellow")
    yield _what(touchpoint)
    yield Text(cut(touchpoint.person or "", _WHO_WIDTH))
    yield Text(cut(touchpoint.source, _WHO_WIDTH), "dim")


def _what(touchpoint: Told) -> Text:
    """The type with what it is about, then a line per milestone."""
    about = " · ".join(
        cut(part, _WHAT_WIDTH) for part in (touchpoint.channel, touchpoint.content, touchpoint.opportunity) if part
    )
    text = Text(cut(touchpoint.type, _WHAT_WIDTH), "bold" if touchpoint.milestones else "")
    if touchpoint.value is not None:
        text.append(f" {touchpoint.value}", "green")
    if about:
        text.append(f"  {about}", "dim")
    marks = [name for name, holds in (("late", touchpoint.is_late), ("corrected", touchpoint.is_corrected)) if holds]
    if marks:
        text.append(f"  {', '.join(marks)}", "magenta")
    for milestone in touchpoint.milestones:
        text.append(f"\n▲ {_said(milestone)}", "bold cyan")
    return text


def _said(milestone: Milestone) -> str:
    """ "reached won of lead-to-won", "0061x is included in 2026-01 of created-to-won"."""
    who = "" if milestone.id is None else f"{cut(milestone.id, _WHO_WIDTH)} "
    if milestone.node is not None:
        return f"{who}reached {milestone.node} of {milestone.analysis}"
    verb = "is not included any more in" if milestone.is_left else "is included in"
    return f"{who}{verb} {milestone.period} of {milestone.analysis}"


def _legend(story: StoryAnswer) -> Text:
    parts = ["● online", "○ offline", "▲ milestone", f"newest of Kafka here {moment(story.clock_ms)}"]
    if story.before is not None:
        parts.append(f"further back: --before {story.before}")
    return Text(" · ".join(parts), "dim")


def _kind_of(kind: str) -> str:
    return kind.replace("_", " ")
