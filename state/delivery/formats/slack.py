"""A message for Slack, as blocks that are read in five seconds: what, who, when, what led to it, and where to look."""

from decimal import Decimal

import msgspec
from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock, MarkdownTextObject, PlainTextObject, SectionBlock

from state.delivery.formats.message import parts_of, rfc3339, verb_of
from state.delivery.rows import Delivery
from state.render.amounts import decimal_text
from streams.alert import Alert, LedBy
from streams.membership import MembershipChange

TOUCHPOINTS_SHOWN = 3
PARTS_SHOWN = 20
_HEADER_MAX, _TEXT_MAX = 150, 2_900


def slack_body(delivery: Delivery) -> bytes:
    """The JSON that an incoming webhook takes."""
    parts = parts_of(delivery)
    title = headline(delivery, parts)
    blocks: list[Block] = [HeaderBlock(text=PlainTextObject(text=title[:_HEADER_MAX]))]
    blocks += [SectionBlock(text=MarkdownTextObject(text=_section(part)[:_TEXT_MAX])) for part in parts[:PARTS_SHOWN]]
    if len(parts) > PARTS_SHOWN:
        blocks.append(SectionBlock(text=MarkdownTextObject(text=f"and {len(parts) - PARTS_SHOWN} more")))
    blocks.append(ContextBlock(elements=[MarkdownTextObject(text=escaped(_context(delivery)))]))
    return msgspec.json.encode({"text": escaped(title), "blocks": [block.to_dict() for block in blocks]})


def headline(delivery: Delivery, parts: list[Alert | MembershipChange]) -> str:
    """One line that says it, for a header or a subject."""
    first = parts[0]
    if delivery.kind == "digest":
        return f"{len(parts)} {'message' if len(parts) == 1 else 'messages'}: {delivery.route}"
    if isinstance(first, MembershipChange):
        return f"{first.account} {verb_of(first)} {first.audience}"
    if delivery.kind == "escalation" and delivery.operation != "removed":
        return f"Not acknowledged yet: {first.title} · {first.who.account}"
    taken_back = "Taken back: " if delivery.operation == "removed" else ""
    return f"{taken_back}{first.title} · {first.who.account}"


def _section(part: Alert | MembershipChange) -> str:
    if isinstance(part, MembershipChange):
        who = escaped(part.account if part.container is None else f"{part.account} / {part.container}")
        return f"*{who}* {verb_of(part)} *{escaped(part.audience)}*: {escaped(part.reason)}"
    who = part.who.account if part.who.id is None else f"{part.who.account} / {part.who.id}"
    lines = [f"*{escaped(part.title)}* · {escaped(who)}" + ("" if part.state == "asserted" else " · _taken back_")]
    if part.who.owner is not None:
        lines.append(f"Owner: {escaped(part.who.owner)}")
    lines.append(f"When: {_local_time(part.happened_ms)}")
    lines += [f"• {escaped(touchpoint_line(each))}" for each in part.touchpoints[-TOUCHPOINTS_SHOWN:]]
    if links := " · ".join(f"<{_link(url)}|{escaped(name)}>" for name, url in part.links.items()):
        lines.append(links)
    return "\n".join(lines)


def touchpoint_line(touchpoint: LedBy) -> str:
    """What led to it, in a line."""
    value = None if touchpoint.value is None else f"{Decimal(decimal_text(touchpoint.value)):,f}"
    details = [value, touchpoint.person, touchpoint.content, touchpoint.campaign]
    return " · ".join([rfc3339(touchpoint.event_time)[:10], touchpoint.type, *(each for each in details if each)])


def _local_time(at_ms: int) -> str:
    """In the reader's time zone, by Slack's date format; in UTC for a client that does not know it."""
    return f"<!date^{at_ms // 1000}^{{date_short_pretty}}, {{time_secs}}|{rfc3339(at_ms)}>"


def _context(delivery: Delivery) -> str:
    corrects = f" · corrects {delivery.corrects}" if delivery.corrects is not None else ""
    return f"{delivery.route} · {delivery.id}{corrects}"


def escaped(text: str) -> str:
    """Text that Slack shows as it is; it gives &, < and > a meaning, and @channel only within <>."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _link(url: str) -> str:
    return escaped(url).replace("|", "%7C")
