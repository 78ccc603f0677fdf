"""Rows of files: what each format's columns are, and what stands in them."""

import csv
import io
from collections.abc import Iterator, Sequence

import msgspec

from state.delivery.formats.message import parts_of, rfc3339, type_of
from state.delivery.rows import Delivery, Operation
from streams.alert import Alert
from streams.membership import MembershipChange

FLAT_COLUMNS = (
    "id", "type", "operation", "corrects", "subject", "revision", "name", "tier", "account", "kind", "container",
    "owner", "people", "reason", "happened", "known", "attributes",
)  # fmt: skip
KEY_COLUMNS = ("account", "kind", "container", "what", "name", "alert_id")
REVERSE_ETL_COLUMNS = ("operation", *KEY_COLUMNS, "happened", "known", "delivery_id")


def flat_rows(deliveries: Sequence[Delivery]) -> list[dict[str, str]]:
    """A row per message, of a digest one per part; every value is text, what is missing empty."""
    return [_flat(*each) for each in _parts(deliveries)]


def _parts(deliveries: Sequence[Delivery]) -> Iterator[tuple[Delivery, Alert | MembershipChange, Operation]]:
    """Each part of each, and what it does to who keeps a table."""
    for delivery in deliveries:
        parts = parts_of(delivery)
        yield from ((delivery, *each) for each in zip(parts, delivery.part_operations(len(parts)), strict=True))


def _flat(delivery: Delivery, part: Alert | MembershipChange, operation: Operation) -> dict[str, str]:
    row = {
        "id": delivery.id,
        "type": type_of(delivery),
        "operation": operation,
        "corrects": delivery.corrects or "",
        "revision": str(part.revision),
        "happened": rfc3339(part.happened_ms),
        "known": rfc3339(part.known_ms),
    }
    if isinstance(part, MembershipChange):
        return row | {
            "subject": part.audience,
            "name": part.audience,
            "tier": "",
            "account": part.account,
            "kind": part.kind,
            "container": part.container or "",
            "owner": "",
            "people": "",
            "reason": part.reason,
            "attributes": msgspec.json.encode(part.attributes).decode(),
        }
    return row | {
        "subject": part.id,
        "name": part.milestone,
        "tier": part.tier or "",
        "account": part.who.account,
        "kind": part.who.kind,
        "container": part.who.id or "",
        "owner": part.who.owner or "",
        "people": msgspec.json.encode(part.who.people).decode(),
        "reason": part.title,
        "attributes": "{}",
    }


def reverse_etl_rows(deliveries: Sequence[Delivery]) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Columns and rows of a table's changes: what was added, changed or removed, by its primary key (KEY_COLUMNS). Of a
    key the last row counts. what: milestone or audience; an audience has no alert_id, and a milestone one for each
    episode. Attributes have columns of their own, `attribute_NAME`."""
    rows: list[dict[str, str]] = []
    names: set[str] = set()
    for delivery, part, operation in _parts(deliveries):
        row = _flat(delivery, part, operation) | {"delivery_id": delivery.id}
        if isinstance(part, MembershipChange):
            own = {f"attribute_{name}": value for name, value in part.attributes.items()}
            names.update(own)
            row |= own | {"what": "audience", "alert_id": ""}
        else:
            row |= {"what": "milestone", "alert_id": part.id}
        rows.append(row)
    columns = (*REVERSE_ETL_COLUMNS, *sorted(names))
    return columns, [{name: row.get(name, "") for name in columns} for row in rows]


def csv_text(columns: Sequence[str], rows: Sequence[dict[str, str]]) -> str:
    """As RFC 4180 has it, with a header."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
