"""What deliveries are as files of text: names and contents, for a folder."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

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
        case "csv":
            return [FileContent(".csv", csv_text(FLAT_COLUMNS, flat_rows(deliveries)))]
    return _lists(FORM_BY_NAME[form], deliveries)


def _lists(form: Form, deliveries: Sequence[Delivery]) -> list[FileContent]:
    parts_by_member: dict[tuple[str, str, str, str | None], list[MembershipChange]] = {}
    for delivery in deliveries:
        for part in parts_of(delivery):
            if isinstance(part, MembershipChange):
                who = part.audience, part.account, part.kind, part.container
                parts_by_member[who] = [*parts_by_member.pop(who, []), part]
    lists: dict[str, tuple[list[_Row], list[_Row]]] = {}
    for (audience, *_), parts in parts_by_member.items():
        add, remove = lists.setdefault(audience, ([], []))
        newest = parts[-1]
        former = [attributes for part in parts for attributes in part.former_attributes]
        (remove if newest.change == "exited" else add).extend(_rows(form, newest.account, [newest.attributes]))
        remove += _rows(form, newest.account, former)
    return [
        FileContent(f".{audience}.{word}.csv", csv_text(form.columns, rows))
        for audience, (add, remove) in lists.items()
        for word, rows in (("add", add), ("remove", _without(form, remove, add)))
        if rows
    ]


def _rows(form: Form, account: str, known: Iterable[Mapping[str, str]]) -> Iterator[_Row]:
    """Of those that can be matched."""
    return (row for each in known if (row := form.row(account, each)) is not None)


def _without(form: Form, rows: Iterable[_Row], added: Iterable[_Row]) -> list[_Row]:
    """Each row once, without what an added one is matched by: a platform that removes last would lose who is in."""
    stay = {(columns, _values(row, columns)) for row in added for columns in form.identifiers}
    left: dict[tuple[str, ...], _Row] = {}
    for row in rows:
        by = [each for each in form.identifiers if all(values := _values(row, each)) and (each, values) not in stay]
        blank = {column for each in form.identifiers if each not in by for column in each}
        row = {column: "" if column in blank else value for column, value in row.items()}
        if by:
            left.setdefault(tuple(row.values()), row)
    return list(left.values())


def _values(row: _Row, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[column] for column in columns)
