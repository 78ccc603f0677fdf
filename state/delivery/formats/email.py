"""A mail: plain text, with the delivery's id as its Message-ID, so that a repeat is known; corrections reply to the
first one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from state.delivery.formats.message import parts_of, rfc3339, verb_of
from state.delivery.formats.slack import headline, touchpoint_line
from state.delivery.rows import Delivery
from streams.alert import Alert
from streams.membership import MembershipChange

_DOMAIN = "milepost.invalid"
_TOUCHPOINTS_SHOWN = 10


def mail_of(delivery: Delivery, sender: str, to: Sequence[str], sender_name: str = "") -> EmailMessage:
    """The mail. What comes from events stands in headers in one line, and not as an encoded word (RFC 2047), for one
    would be decoded, line breaks included; in the body it stands as it is."""
    parts = parts_of(delivery)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(sender_name, *sender.split("@"))
    mail["To"] = ", ".join(to)
    mail["Subject"] = " ".join(headline(delivery, parts).split()).replace("=?", "= ?")[:200]
    mail["Date"] = format_datetime(datetime.fromtimestamp(delivery.created_ms / 1000, UTC))
    mail["Message-ID"] = f"<{delivery.id}@{_DOMAIN}>"
    if delivery.corrects is not None:
        mail["In-Reply-To"] = mail["References"] = f"<{delivery.corrects}@{_DOMAIN}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n\n".join(map(_text, parts)) + f"\n\n-- \n{delivery.route} · {delivery.id}\n")
    return mail


def _text(part: Alert | MembershipChange) -> str:
    if isinstance(part, MembershipChange):
        who = part.account if part.container is None else f"{part.account} / {part.container}"
        return f"{who} {verb_of(part)} {part.audience}\n{part.reason}"
    who = part.who.account if part.who.id is None else f"{part.who.account} / {part.who.id}"
    lines = [f"{part.title}: {who}" + ("" if part.state == "asserted" else " (taken back)")]
    if part.who.owner is not None:
        lines.append(f"Owner: {part.who.owner}")
    if part.who.people:
        lines.append(f"People: {', '.join(part.who.people)}")
    lines.append(f"When: {rfc3339(part.happened_ms)}, known {rfc3339(part.known_ms)}")
    if part.path:
        lines.append(f"Before: {' > '.join(part.path)}")
    lines += [f"- {touchpoint_line(each)}" for each in part.touchpoints[-_TOUCHPOINTS_SHOWN:]]
    lines += [f"{name}: {url}" for name, url in part.links.items()]
    return "\n".join(lines)
