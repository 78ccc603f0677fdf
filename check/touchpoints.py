"""Touchpoints in DuckDB: every record that arrived, and from these the ones that count, in order, per container.

Tables: `arrived`, each record with its part (partition) and spot (offset); `touchpoint`, the survivors up to given
offsets, numbered by `place`: account by account in the order of the series, so that within a container a later place is
a later touchpoint; `member`, which container each place lies in, a container being named by its first place.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import duckdb
import msgspec

from state.definitions import ContainerKind
from state.matches import NUMBER_FIELDS, TEXT_FIELDS
from streams.touchpoint import Scalar, Touchpoint, decode_touchpoint, version_of

SESSION_GAP_MS = 1_800_000
MEMORY_MAX = "768MB"
_LINES_PER_FILE = 200_000
_LINES_PER_WRITE = 5_000

Arrival = tuple[int, int, bytes]  # partition, offset, the record's value


class _Line(msgspec.Struct, omit_defaults=True, gc=False):
    """A touchpoint as a line of JSON: the table `arrived` has these columns."""

    part: int
    spot: int
    event_id: str
    source: str
    event_time: int
    source_sequence: int
    revision: int
    hash: str
    withdrawn: bool
    type: str
    account: str
    stream: str
    global_account: str | None = None
    opportunity: str | None = None
    buying_group: str | None = None
    person: str | None = None
    session: str | None = None
    channel: str | None = None
    content: str | None = None
    content_type: str | None = None
    campaign: str | None = None
    marketing_event: str | None = None
    value: int | None = None
    kinds: list[str | None] | None = None
    texts: list[str | None] | None = None


_SQL_TYPE_BY_COLUMN = {
    **dict.fromkeys(("part", "spot", *NUMBER_FIELDS), "BIGINT"),
    **dict.fromkeys(("hash", *TEXT_FIELDS), "VARCHAR"),
    "withdrawn": "BOOLEAN",
    "kinds": "VARCHAR[]",
    "texts": "VARCHAR[]",
}


@contextmanager
def open_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in a folder of its own that is gone afterwards; it spills to disk rather than grow in memory."""
    with tempfile.TemporaryDirectory(prefix="milepost-check-") as folder:
        connection = duckdb.connect(str(Path(folder) / "check.duckdb"))
        try:
            connection.execute(f"SET memory_limit = '{MEMORY_MAX}'")
            connection.execute("SET temp_directory = $spill", {"spill": f"{folder}/spill"})
            connection.execute("SET preserve_insertion_order = false")
            yield connection
        finally:
            connection.close()


def load(connection: duckdb.DuckDBPyConnection, arrivals: Iterable[Arrival], columns: Mapping[str, str]) -> int:
    """Makes the table `arrived` of these records and says how many there are. `columns` names the attributes that are
    read (`attribute_columns`). Raises msgspec.DecodeError for what is no touchpoint."""
    types = ", ".join(f"{name} {_SQL_TYPE_BY_COLUMN[name]}" for name in _Line.__struct_fields__)
    connection.execute(f"CREATE OR REPLACE TABLE arrived ({types})")
    lines = _lines(arrivals, list(columns))
    encoder = msgspec.json.Encoder()
    count = 0
    with tempfile.TemporaryDirectory(prefix="milepost-check-") as folder:
        file = Path(folder) / "touchpoints.ndjson"
        while written := _write(file, islice(lines, _LINES_PER_FILE), encoder):
            count += written
            _read(connection, file)
    return count


def _lines(arrivals: Iterable[Arrival], attributes: list[str]) -> Iterator[_Line]:
    for part, spot, value in arrivals:
        yield _line(part, spot, decode_touchpoint(value), attributes)


def _line(part: int, spot: int, t: Touchpoint, attributes: list[str]) -> _Line:
    revision, digest = version_of(t)
    kinds: list[str | None] | None = None
    texts: list[str | None] | None = None
    if t.attributes and attributes:
        found = [t.attributes.get(name) for name in attributes]
        kinds, texts = [_kind(each) for each in found], [_shown(each) for each in found]
    return _Line(
        part, spot, t.event_id, t.source, t.event_time, t.source_sequence, revision, digest.hex(), t.withdrawn, t.type,
        t.account, t.stream, t.global_account, t.opportunity, t.buying_group, t.person, t.session, t.channel, t.content,
        t.content_type, t.campaign, t.marketing_event, t.value, kinds, texts,
    )  # fmt: skip


def _kind(scalar: Scalar | None) -> str | None:
    match scalar:
        case None:
            return None
        case str():
            return "text"
        case bool():
            return "truth"
        case int():
            return "whole"
        case _:
            return "real"


def _shown(scalar: Scalar | None) -> str | None:
    """A dimension's value as flows show it, but for its length; what a column of its kind is read from."""
    match scalar:
        case None | str():
            return scalar
        case bool():
            return "true" if scalar else "false"
        case _:
            return repr(scalar)


def _write(file: Path, lines: Iterator[_Line], encoder: msgspec.json.Encoder) -> int:
    count = 0
    with file.open("wb") as out:
        while some := list(islice(lines, _LINES_PER_WRITE)):
            out.write(encoder.encode_lines(some))
            count += len(some)
    return count


def _read(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    columns = ", ".join(f"'{name}': '{_SQL_TYPE_BY_COLUMN[name]}'" for name in _Line.__struct_fields__)
    connection.execute(
        f"INSERT INTO arrived SELECT * FROM read_json($file, format = 'newline_delimited', columns = {{{columns}}})",
        {"file": str(file)},
    )


def settle(
    connection: duckdb.DuckDBPyConnection, applied: Mapping[int, int] | None, columns: Mapping[str, str]
) -> None:
    """Makes the table `touchpoint` of what arrived up to the offset `applied` of each partition, it included (None: of
    all): per account, source and event_id the greatest (revision, hash), unless that is a withdrawal."""
    parts = [] if applied is None else list(applied)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE applied AS"
        " SELECT unnest(CAST($parts AS BIGINT[])) AS part, unnest(CAST($spots AS BIGINT[])) AS spot_max",
        {"parts": parts, "spots": [] if applied is None else list(applied.values())},
    )
    inside = "TRUE" if applied is None else "spot <= (SELECT spot_max FROM applied WHERE applied.part = arrived.part)"
    plain = ", ".join(("part", *NUMBER_FIELDS, *TEXT_FIELDS))
    attributes = "".join(f", {sql}" for i, stem in enumerate(columns.values(), 1) for sql in _attribute_sql(i, stem))
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE touchpoint AS
        WITH ranked AS (
            SELECT rowid AS id, row_number() OVER (
                PARTITION BY account, source, event_id ORDER BY revision DESC, hash DESC) AS rank
            FROM arrived WHERE {inside})
        SELECT row_number() OVER (ORDER BY account, event_time, source_sequence, event_id, source) AS place,
               {plain}{attributes}
        FROM arrived WHERE rowid IN (SELECT id FROM ranked WHERE rank = 1) AND NOT withdrawn
        """
    )


_SHOWN_MAX = 2_048  # characters of an item


def _attribute_sql(i: int, stem: str) -> list[str]:
    """The columns of the i-th attribute: one per kind of scalar, the text that is shown as an item, and all of it."""
    return [
        f"CASE WHEN length(texts[{i}]) <= {_SHOWN_MAX} THEN texts[{i}]"
        f" ELSE left(texts[{i}], 2000) || '…' || left(sha256(texts[{i}]), 16) END AS {stem}_shown",
        f"texts[{i}] AS {stem}_whole_text",
        f"CASE WHEN kinds[{i}] = 'text' THEN texts[{i}] END AS {stem}_text",
        f"CASE WHEN kinds[{i}] = 'whole' THEN TRY_CAST(texts[{i}] AS HUGEINT) END AS {stem}_whole",
        f"CASE WHEN kinds[{i}] = 'real' THEN TRY_CAST(texts[{i}] AS DOUBLE) END AS {stem}_real",
        f"CASE WHEN kinds[{i}] = 'truth' THEN texts[{i}] = 'true' END AS {stem}_truth",
    ]


def make_members(connection: duckdb.DuckDBPyConnection, kind: ContainerKind) -> None:
    """Makes the tables `member` (container, place) of the containers of this kind, and `container` (container, part,
    event_time): each with the partition and the time of its first touchpoint."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE member AS {members_sql(kind)}")
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE container AS
        SELECT place AS container, part, event_time FROM touchpoint
        WHERE place IN (SELECT container FROM member)
        """
    )


def members_sql(kind: ContainerKind) -> str:
    """The query of the (container, place) of the containers of a kind."""
    return _SESSIONS if kind is ContainerKind.SESSION else _named_by(kind.value)


def _named_by(column: str) -> str:
    return f"""
        SELECT min(place) OVER (PARTITION BY account, {column}) AS container, place
        FROM touchpoint WHERE {column} IS NOT NULL
        """


_SESSIONS = f"""
        WITH walk AS (
            SELECT account, person, place,
                   event_time - lag(event_time) OVER (PARTITION BY account, person ORDER BY place) AS gap_ms
            FROM touchpoint WHERE session IS NULL AND stream = 'web' AND person IS NOT NULL),
        numbered AS (
            SELECT account, person, place,
                   sum(CAST(coalesce(gap_ms, 0) > {SESSION_GAP_MS} AS INTEGER))
                   OVER (PARTITION BY account, person ORDER BY place) AS number
            FROM walk)
        SELECT min(place) OVER (PARTITION BY account, person, number) AS container, place FROM numbered
        UNION ALL
        {_named_by("session")}
        """
