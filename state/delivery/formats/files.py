"""What deliveries are as files: names and contents, for a folder. Parquet is made where files are written."""

from collections.abc import Sequence

import msgspec

from state.delivery.formats.activation import FORM_BY_NAME, Form
from state.delivery.formats.message import parts_of, webhook_body
from state.delivery.formats.table import FLAT_COLUMNS, csv_text, flat_rows, reverse_etl_rows
from state.delivery.rows import Delivery
from streams.membership import MembershipChange


class FileContent(msgspec.Struct, frozen=True):
    """suffix: behind the file's name, its ending included."""

    suffix: str
    text: str


def files_of(form: str, deliveries: Sequence[Delivery]) -> list[FileContent]:
    """The files of deliveries in their order. Of a list for an advertising platform two: whom to add, and whom to
    remove; who did both is in the one that came last."""
    match form:
        case "ndjson":
            return [FileContent(".ndjson", "".join(webhook_body(each).decode() + "\n" for each in deliveries))]
        case "reverse-etl":
            return [FileContent(".csv", csv_text(*reverse_etl_rows(deliveries)))]
        case "csv" | "parquet":
            return [FileContent(".csv", csv_text(FLAT_COLUMNS, flat_rows(deliveries)))]
    return _lists(FORM_BY_NAME[form], deliveries)


def _lists(form: Form, deliveries: Sequence[Delivery]) -> list[FileContent]:
    newest: dict[tuple[str, str, str, str | None], MembershipChange] = {}
    for delivery in deliveries:
        for part in parts_of(delivery):
            if isinstance(part, MembershipChange):
                who = part.audience, part.account, part.kind, part.container
                newest.pop(who, None)
                newest[who] = part
    files = []
    for audience in dict.fromkeys(each.audience for each in newest.values()):
        for change, word in (("entered", "add"), ("exited", "remove")):
            chosen = [each for each in newest.values() if each.audience == audience and each.change == change]
            rows = [row for each in chosen if (row := form.row(each.account, each.attributes)) is not None]
            if rows:
                files.append(FileContent(f".{audience}.{word}.csv", csv_text(form.columns, rows)))
    return files
