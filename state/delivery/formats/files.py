"""What deliveries are as files: names and contents, for a folder. Parquet is made where files are written."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from state.delivery.formats.activation import FORM_BY_NAME, Form
from state.delivery.formats.message import parts_of, webhook_body
from state.delivery.formats.table import FLAT_COLUMNS, csv_text, flat_rows, reverse_etl_rows
from state.delivery.rows import Delivery
from streams.membership import MembershipChange

_Row = dict[str, str]


class FileContent(msgspec.Struct, frozen=True):
    """suffix: behind the file's name, its ending included."""

    suffix: str
    text: str


def files_of(form: str, deliveries: Sequence[Delivery]) -> list[FileContent]:
    """The files of deliveries in their order. Of a list for an advertising platform two: whom to add, and whom to
    remove; who did both is in the one that came last, and who is in by other values than before in both."""
    match form:
        case "ndjson":
            return [FileContent(".ndjson", "".join(webhook_body(each).decode() + "\n" for each in deliveries))]
        case "reverse-etl":
            return [FileContent(".csv", csv_text(*reverse_etl_rows(deliveries)))]
        case "csv" | "parquet":
            return [FileContent(".csv", csv_text(FLAT_COLUMNS, flat_rows(deliveries)))]
    return _lists(FORM_BY_NAME[form], deliveries)


def _lists(form: Form, deliveries: Sequence[Delivery]) -> list[FileContent]:
    parts_by_member: dict[tuple[str, str, str, str | None], list[MembershipChange]] = {}
    for delivery in deliveries:
        for part in parts_of(delivery):
            if isinstance(part, MembershipChange):
                who = part.audience, part.account, part.kind, part.container
                parts_by_member[who] = [*parts_by_member.pop(who, []), part]
    rows_by_file: dict[str, list[_Row]] = {}
    for (audience, *_), parts in parts_by_member.items():
        add, remove = _added_and_removed(form, parts)
        rows_by_file.setdefault(f".{audience}.add.csv", []).extend(add)
        rows_by_file.setdefault(f".{audience}.remove.csv", []).extend(remove)
    return [FileContent(suffix, csv_text(form.columns, rows)) for suffix, rows in rows_by_file.items() if rows]


def _added_and_removed(form: Form, parts: Sequence[MembershipChange]) -> tuple[list[_Row], list[_Row]]:
    """The rows of one member, each once."""
    newest = parts[-1]

    def rows_of(attributes: Iterable[Mapping[str, str]]) -> list[_Row]:
        rows: list[_Row] = []
        for row in (form.row(newest.account, each) for each in attributes):
            if row is not None and row not in rows:
                rows.append(row)
        return rows

    former = [attributes for part in parts for attributes in part.former_attributes]
    if newest.change == "exited":
        return [], rows_of([*former, newest.attributes])
    added = rows_of([newest.attributes])
    return added, [row for row in rows_of(former) if row not in added]
