"""What each decoder promises of any bytes: a value, or its documented error; what it accepts, it gives back; what it
says of an error is short and can be shown. Any other exception, a hang or a swollen memory is a finding.

A law is a function of bytes that returns whether they were accepted and raises when the promise is broken.
"""

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from agents.dead_letters import FOREIGN, letter_of
from agents.defining import load_definitions, one_definition
from agents.import_checkpoint import load_checkpoint, save_checkpoint
from agents.importing import encode_reject
from agents.ordering import configure_of, load_delivery_file
from state.accounts import Accounts
from state.definition_set import DefinitionSet, definition_set_of, publications
from state.definitions import DefinitionFile
from state.delivery.configuration import DeliveryFile, Webhook
from state.delivery.formats.template import TemplateProblemError, rendered
from state.delivery.memory import RowMemory
from state.delivery.outbox import Outbox
from state.delivery.rows import WAITING, decode_delivery
from state.job import decode_job
from state.journeys import decode_journey
from state.rows import decode_chunk, decode_container, decode_entries, encode_row, keys_of
from streams.alert import decode_alert, encode_alert
from streams.delivery import Configure, decode_order, decode_status, encode_order, encode_status
from streams.errors import MismatchError, UnavailableError, UsageError
from streams.event import Event
from streams.event_parsing import Rejection, touchpoint_of
from streams.ingest import Ingestion
from streams.mapping.file import open_rows
from streams.mapping.lookups import Lookups, load_lookups
from streams.mapping.model import MappingFile, load_mapping
from streams.mapping.rows import MappedEvent, Reject
from streams.membership import decode_change, encode_change
from streams.partials import (
    Covers,
    decode_cell,
    decode_covers,
    decode_partial,
    encode_cell,
    encode_covers,
    encode_partial,
)
from streams.poison import decode_set_aside, encode_set_aside
from streams.protocol_rows import decode_commit, encode_commit
from streams.snapshot import decode_snapshot, encode_snapshot
from streams.touchpoint import FIELDS, Touchpoint, decode_touchpoint, encode_touchpoint, order_of, prefix_decoder
from tests.agents.delivery.worlds import alert
from tests.fuzz import seeds
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import Record, touchpoint

NOW_MS = 1_790_000_000_000
TOLERANCE_MS = 300_000
SHOWN_MAX = 1_000  # characters of one complaint
MESSAGE_MAX = 20_000  # characters of all complaints about a file
ROWS_MAX = 300
ALERT = alert("Acme")


class Target(NamedTuple):
    """One decoder: its law, good input to spoil, and the form in which to spoil it (json, msgpack or text)."""

    name: str
    law: Callable[[bytes], bool]
    seeds: list[bytes]
    form: str


@cache
def _folder() -> Path:
    """For decoders that read files: in memory where the system has that."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="milepost-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _written(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def require_showable(text: str, characters_max: int = SHOWN_MAX) -> None:
    """An error message is bounded, and a terminal shows it as it is."""
    assert len(text) <= characters_max, f"{len(text)} characters: {text[:200]!r}"
    hidden = [sign for sign in text if sign != "\n" and not sign.isprintable()]
    assert not hidden, f"{hidden[:3]} in {text[:200]!r}"


# What comes from outside: events.


def event(data: bytes) -> bool:
    """A touchpoint or a rejection; what was normalised once is normal."""
    said = touchpoint_of(data, "crm", NOW_MS, ("t", 0, 0), TOLERANCE_MS)
    if isinstance(said, Rejection):
        require_showable(said.detail)
        _require_dead_letter(data)
        return False
    wire = encode_touchpoint(said)
    assert decode_touchpoint(wire) == said
    keys_of(said.account.encode(), said)
    again = touchpoint_of(_as_event(said), "crm", NOW_MS, ("t", 0, 0), TOLERANCE_MS)
    assert again == said, (said, again)
    return True


def _as_event(said: Touchpoint) -> bytes:
    fields: dict[str, Any] = {name: getattr(said, name) for name in Event.model_fields if hasattr(said, name)}
    fields["operation"] = "withdraw" if said.withdrawn else "upsert"
    if said.value is not None:
        sign, digits = "-" if said.value < 0 else "", str(abs(said.value)).rjust(7, "0")
        fields["value"] = f"{sign}{digits[:-6]}.{digits[-6:]}"
    return msgspec.json.encode(fields)


class _Source(NamedTuple):
    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int


def _require_dead_letter(data: bytes) -> None:
    """A rejected record is kept whole, with headers that are bounded; the example for the log is, too."""
    routed = Ingestion("crm-events", "id", "crm", 4, TOLERANCE_MS).route(1, [_Source(b"k", data, 7, NOW_MS)])
    (letter,) = routed.dead_letters
    assert (letter.key, letter.value) == (b"id:1:7", data)
    headers = dict(letter.headers)
    assert headers["key"] == b"k"
    require_showable(headers["detail"].decode())
    require_showable(routed.example, SHOWN_MAX + 100)


# What stands on topics and in rows of our own.


def _decoded(decode: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return decode(data)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None


def _returns(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], data: bytes) -> bool:
    """What is accepted is given back by encoding and decoding. Compared as bytes: NaN is not NaN."""
    found = _decoded(decode, data)
    if found is None:
        return False
    wire = encode(found)
    assert encode(decode(wire)) == wire
    return True


@cache
def _prefix_decoders() -> list[tuple[tuple[str, ...], Callable[[bytes], Touchpoint]]]:
    return [(FIELDS[: end + 1], prefix_decoder(FIELDS[: end + 1])) for end in range(4, len(FIELDS))]


def touchpoint_record(data: bytes) -> bool:
    """A shorter decoder agrees with the whole one wherever that accepts."""
    if not _returns(decode_touchpoint, encode_touchpoint, data):
        return False
    whole = decode_touchpoint(data)
    order_of(whole)
    for names, decode in _prefix_decoders():
        part = decode(data)
        assert repr([getattr(part, name) for name in names]) == repr([getattr(whole, name) for name in names])
    return True


def cell(data: bytes) -> bool:
    """A key of `partials`."""
    return _returns(decode_cell, lambda found: encode_cell(*found), data)


def partial(data: bytes) -> bool:
    """A value of `partials`, either form."""
    covers: Covers | None = _decoded(decode_covers, data)
    if covers is not None:
        assert decode_covers(encode_covers(covers)) == covers
    return _returns(decode_partial, lambda found: encode_partial(*found), data)


def commit(data: bytes) -> bool:
    """The protocol's row of a commit."""
    return _returns(decode_commit, encode_commit, data)


def container(data: bytes) -> bool:
    """Rows of containers, chunks and their entries."""
    chunk = _decoded(decode_chunk, data)
    if chunk is not None:
        _decoded(lambda packed: decode_entries(chunk.entry_count % 2**32, packed), chunk.entries)
    row = _decoded(decode_container, data)
    if row is not None:
        _decoded(lambda packed: decode_entries(row.entry_count % 2**32, packed), row.entries)
    return _returns(decode_container, encode_row, data)


def job(data: bytes) -> bool:
    """The row of a record that is applied in slices."""
    return _returns(decode_job, encode_row, data)


def set_aside(data: bytes) -> bool:
    """The word on a record that was set aside."""
    return _returns(decode_set_aside, encode_set_aside, data)


def letter(data: bytes) -> bool:
    """A record of `dead-letters`, whoever wrote it; a JSON object stands for its headers."""
    headers = _decoded(msgspec.json.Decoder(dict[str, str]).decode, data) or {}
    found = letter_of(b"id:1:7", data, [(name, text.encode()) for name, text in headers.items()])
    for text in (found.reason, found.detail, found.topic):
        require_showable(text)
    assert found.value == data
    assert found.offset >= (-1 if found.reason == FOREIGN else 0)
    return found.reason != FOREIGN


def snapshot(data: bytes) -> bool:
    """The value of a snapshot, or of a journey."""
    _returns(decode_journey, msgspec.json.encode, data)
    return _returns(decode_snapshot, encode_snapshot, data)


def publication(data: bytes) -> bool:
    """A published definition: one that this version can compute, or a MismatchError."""
    try:
        found = definition_set_of({"lead-to-won": data})
    except MismatchError as error:
        require_showable(str(error), MESSAGE_MAX)
        return False
    _compute(found)
    return True


def checkpoint(data: bytes) -> bool:
    """An import's checkpoint: what cannot be read is a new beginning."""
    path = _written("checkpoint.json", data)
    found = load_checkpoint(path)
    save_checkpoint(path, found)
    assert load_checkpoint(path) == found
    return found.tally.rows > 0


# What users write.


def definitions(data: bytes) -> bool:
    """A definition file: refused with its place, or published, read back the same, and computed."""
    return _published(lambda: load_definitions(_written("definitions.yaml", data)))


def definition(data: bytes) -> bool:
    """A definition that is put over HTTP: the same."""
    return _published(lambda: one_definition(data))


def _published(read: Callable[[], DefinitionFile]) -> bool:
    try:
        file = read()
    except UsageError as error:
        require_showable(str(error), MESSAGE_MAX)
        return False
    records, _ = publications(file, DefinitionSet(()), 0)
    in_force = definition_set_of({name: value for name, value in records.items() if value is not None})
    assert [each.analysis for each in in_force.definitions] == sorted(file.analyses, key=lambda each: each.name)
    if len(file.analyses) <= 10:
        _compute(in_force)
    return True


@cache
def _touchpoints() -> list[Record]:
    day = 86_400_000
    types = ("Lead Form Step 1", "Opportunity Created", "Closed-Won", "MQL Qualified")
    return [
        Record(
            touchpoint(
                str(number),
                1_700_000_000_000 + number * day * 9,
                types[number % 4],
                opportunity=f"o{number % 2}",
                person="p",
                buying_group="g",
                content_type="x" if number % 3 else None,
                content="a" * 40 + "b",
                value=number * 1_000_000,
                attributes={"tier": number} if number % 2 else None,
            )
        )
        for number in (0, 1, 2, 3, 4, 5, 6, 7, 2, 1)
    ]


def _compute(found: DefinitionSet) -> None:
    Accounts(layers_of(found), MemoryStore()).compute(_touchpoints())


def delivery(data: bytes) -> bool:
    """A delivery file: refused with its place, or ordered, read back the same, and an alert sent by it."""
    try:
        file = load_delivery_file(_written("delivery.yaml", data))
    except UsageError as error:
        require_showable(str(error), MESSAGE_MAX)
        return False
    order = decode_order(encode_order(configure_of(file)))
    rows = RowMemory()
    for at_ms in (NOW_MS, NOW_MS + 1):
        outbox = Outbox(rows, at_ms)
        if isinstance(order, Configure) and at_ms == NOW_MS:
            assert DeliveryFile.model_validate_json(msgspec.json.encode(order.file)) == file
            outbox.order(order, at_ms)
        else:
            outbox.take_alert(ALERT, encode_alert(ALERT), at_ms)
        rows.apply(outbox.rows)
    for _, value in rows.scan(WAITING):
        destination = file.destinations[decode_delivery(value).destination]
        if isinstance(destination, Webhook) and destination.template is not None:
            template(destination.template.encode())
    return bool(file.routes)


def template(data: bytes) -> bool:
    """A body, or a reason why there is none."""
    try:
        rendered(data.decode("utf-8", "replace"), msgspec.to_builtins(ALERT))
    except TemplateProblemError:
        return False
    return True


def message(data: bytes) -> bool:
    """An alert or a change of an audience on its topic, as the deliver agent reads it."""
    return _returns(decode_alert, encode_alert, data) | _returns(decode_change, encode_change, data)


def delivery_order(data: bytes) -> bool:
    """An order on its topic, and where a delivery stands."""
    _returns(decode_status, encode_status, data)
    return _returns(decode_order, encode_order, data)


def mapping(data: bytes) -> bool:
    """A mapping file: refused with its place, or ready for the columns of a file."""
    _written("countries.csv", seeds.COUNTRIES)
    try:
        file = load_mapping(_written("contacts.yaml", data))
        lookups = load_lookups(file)
    except (UsageError, UnavailableError) as error:  # a lookup's file may not be there
        require_showable(str(error), MESSAGE_MAX)
        return False
    _map_rows(_written("contacts.csv", seeds.CONTACTS), file, lookups)
    return True


def csv_rows(data: bytes) -> bool:
    """Rows in columns: events or rejects."""
    return _map_rows(_written("rows.csv", data), *_mapping_file("rows.yaml", seeds.CONTACTS_MAPPING))


def blank_rows(data: bytes) -> bool:
    """Columns apart by blanks, in another encoding."""
    return _map_rows(_written("blanks.txt", data), *_mapping_file("blanks.yaml", seeds.BLANKS_MAPPING))


def ndjson_rows(data: bytes) -> bool:
    """Rows that are JSON objects."""
    return _map_rows(_written("rows.ndjson", data), *_mapping_file("ndjson.yaml", seeds.NDJSON_MAPPING))


def xes_rows(data: bytes) -> bool:
    """Rows of an event log in XML."""
    return _map_rows(_written("log.xes", data), *_mapping_file("xes.yaml", seeds.XES_MAPPING))


def parquet_rows(data: bytes) -> bool:
    """Rows of a Parquet file, which DuckDB reads."""
    return _map_rows(_written("rows.parquet", data), *_mapping_file("parquet.yaml", seeds.PARQUET_MAPPING))


@cache
def _mapping_file(name: str, text: bytes) -> tuple[MappingFile, Lookups]:
    _written("countries.csv", seeds.COUNTRIES)
    file = load_mapping(_written(name, text))
    return file, load_lookups(file)


def _map_rows(path: Path, file: MappingFile, lookups: Lookups) -> bool:
    taken = False
    try:
        opened = open_rows(path, file, lookups, now_ms=NOW_MS, future_tolerance_ms=TOLERANCE_MS)
        with closing(opened.rows()) as rows:
            for outcome in map(opened.mapper.events_of, islice(rows, ROWS_MAX)):
                taken = _judge(outcome) or taken
    except UsageError as error:
        require_showable(str(error), MESSAGE_MAX)
    return taken


def _judge(outcome: list[MappedEvent] | Reject) -> bool:
    if isinstance(outcome, Reject):
        require_showable(outcome.reason)
        require_showable(outcome.detail)
        assert json.loads(encode_reject(outcome))["row"] == outcome.row
        return False
    for mapped in outcome:
        said = touchpoint_of(mapped.payload, "crm", NOW_MS, ("t", 0, 0), TOLERANCE_MS)
        assert isinstance(said, Touchpoint) or not mapped.has_account, (mapped, said)
    return bool(outcome)


def targets() -> Iterator[Target]:
    """All of them."""
    yield Target("event", event, seeds.EVENTS, "json")
    yield Target("touchpoint", touchpoint_record, seeds.TOUCHPOINTS, "msgpack")
    yield Target("cell", cell, seeds.CELLS, "text")
    yield Target("partial", partial, seeds.PARTIALS, "msgpack")
    yield Target("commit", commit, seeds.COMMITS, "msgpack")
    yield Target("container", container, seeds.CONTAINERS, "msgpack")
    yield Target("job", job, seeds.JOBS, "msgpack")
    yield Target("set-aside", set_aside, seeds.SET_ASIDE, "json")
    yield Target("letter", letter, seeds.LETTERS, "json")
    yield Target("snapshot", snapshot, seeds.SNAPSHOTS, "json")
    yield Target("publication", publication, seeds.PUBLICATIONS, "json")
    yield Target("checkpoint", checkpoint, seeds.CHECKPOINTS, "json")
    yield Target("definitions", definitions, seeds.DEFINITIONS, "json")
    yield Target("definition", definition, seeds.ONE_DEFINITION, "json")
    yield Target("definitions-yaml", definitions, seeds.DEFINITIONS_YAML, "text")
    yield Target("delivery", delivery, seeds.DELIVERY_FILES, "json")
    yield Target("delivery-yaml", delivery, seeds.DELIVERY_FILES_YAML, "text")
    yield Target("template", template, seeds.TEMPLATES, "text")
    yield Target("message", message, seeds.MESSAGES, "json")
    yield Target("delivery-order", delivery_order, seeds.DELIVERY_ORDERS, "json")
    yield Target("mapping", mapping, seeds.MAPPINGS, "json")
    yield Target("mapping-yaml", mapping, seeds.MAPPINGS_YAML, "text")
    yield Target("csv", csv_rows, [seeds.CONTACTS], "text")
    yield Target("blanks", blank_rows, [seeds.BLANKS], "text")
    yield Target("ndjson", ndjson_rows, [seeds.NDJSON], "text")
    yield Target("ndjson-row", ndjson_rows, seeds.NDJSON.splitlines(), "json")
    yield Target("xes", xes_rows, seeds.LOGS, "text")
    yield Target("parquet", parquet_rows, [seeds.PARQUET], "text")
