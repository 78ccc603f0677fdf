"""What must hold when all is quiet, beside `check`. Each function gives what it found wrong, in words.

Read from the topics alone, with no code of the writer: the changelog is the truth, outputs and disks are compared with
it.
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from agents.read_record import ReadRecord
from agents.reading import read_definitions, read_topic
from agents.settings import Settings
from check.cells import summed
from check.compare import body_differences
from check.reading import PublishedCells, PublishedSnapshots
from check.render import body_of
from state.account_batch import Pending
from state.rocks_reading import POSITION_KEY
from state.store import RocksStore
from streams.admin import topic_ids
from streams.errors import UnavailableError
from streams.fence import Appended
from streams.partials import COVERS_KEY, Tag, decode_covers, decode_partial
from streams.protocol_rows import CLAIM_KEY, COMMIT_KEY, FENCE_KEY, READY_KEY, CommitRow, decode_commit
from streams.restore import Changelog, restore
from streams.topics import topic_name
from streams.touchpoint import decode_touchpoint


class _Tagged(msgspec.Struct):
    """A journey, of which the tag is asked."""

    tag: Tag


_decode_pending = msgspec.msgpack.Decoder(Pending).decode
_decode_tagged = msgspec.json.Decoder(_Tagged).decode
_SHOWN = 5


class Log(msgspec.Struct):
    """What a partition of the changelog says. is_whole: nothing was compacted away yet."""

    is_whole: bool
    commits: dict[int, CommitRow]
    last_claim: int
    end: int


def findings(bootstrap: str, settings: Settings) -> Iterator[str]:
    """Everything that is wrong in the topics."""
    logs = {}
    for partition, records in _by_partition(bootstrap, settings, "accounts-changelog"):
        logs[partition] = _log_of(records)
        yield from _one_writer("accounts-changelog", partition, records, logs[partition])
    for partition, records in _by_partition(bootstrap, settings, "deliver-changelog"):
        yield from _one_writer("deliver-changelog", partition, records, _log_of(records))
    for name in ("partials", "journeys"):
        for partition, records in _by_partition(bootstrap, settings, name):
            yield from _tagged_output(name, partition, records, logs[partition])
    yield from _published_sums(bootstrap, settings)
    yield from _every_source_record(bootstrap, settings)


def _by_partition(bootstrap: str, settings: Settings, name: str) -> Iterator[tuple[int, list[ReadRecord]]]:
    """The records of each partition that has any; one partition at a time, for all of them may be millions."""
    topic = topic_name(name, settings.prefix, settings.generation)
    for partition in range(settings.partitions):
        if records := list(read_topic(bootstrap, topic, [partition])):
            yield partition, records


def _log_of(records: list[ReadRecord]) -> Log:
    commits = {r.offset: decode_commit(r.value) for r in records if r.key == COMMIT_KEY and r.value is not None}
    claims = [record.offset for record in records if record.key == CLAIM_KEY]
    is_whole = records[0].offset == 0 and records[-1].offset == len(records) - 1
    return Log(is_whole, commits, max(claims), records[-1].offset + 1)


def _one_writer(name: str, partition: int, records: list[ReadRecord], log: Log) -> Iterator[str]:
    """Behind a claim nothing of an earlier epoch; the input and the clock only go forward."""
    place = f"{name} {partition}"
    claim = -1
    applied: dict[str, int] = {}
    clock_ms = 0
    for record in records:
        assert record.value is not None or record.key not in (CLAIM_KEY, READY_KEY, COMMIT_KEY)
        if record.key == CLAIM_KEY:
            claim = record.offset
        elif record.key == READY_KEY and record.value != b"%d" % (record.offset - 1):
            yield f"{place}: ready at {record.offset} for the claim {record.value!r}"
        elif record.key == COMMIT_KEY:
            row = log.commits[record.offset]
            if (log.is_whole or record.offset > log.last_claim) and row.epoch != claim:
                yield f"{place}: commit {record.offset} of epoch {row.epoch} behind the claim {claim}"
            now = {topic: each.applied for topic, each in row.input_by_topic.items()}
            if any(now.get(topic, -1) < offset for topic, offset in applied.items()) or row.clock_ms < clock_ms:
                yield f"{place}: commit {record.offset} goes back from {applied}, {clock_ms} to {now}, {row.clock_ms}"
            applied, clock_ms = now, row.clock_ms


def _tags_of(name: str, records: list[ReadRecord]) -> list[int]:
    """The tag of each record, -1 for fences; a cell that is deleted has that of the covers behind it."""
    tags: list[int] = []
    following = -1
    for record in reversed(records):
        if record.key == FENCE_KEY:
            tags.append(-1)
        elif name == "journeys":
            tags.append(int(_decode_tagged(record.value or b"").tag.offset))
        elif record.key == COVERS_KEY:
            following = decode_covers(record.value or b"").tag.offset
            tags.append(following)
        else:
            tags.append(following if record.value is None else decode_partial(record.value)[0].offset)
    return tags[::-1]


def _tagged_output(name: str, partition: int, records: list[ReadRecord], log: Log) -> Iterator[str]:
    """Tags are commits' offsets, and rise per key, so that compaction keeps the newest; a former owner says nothing
    behind its successor's fence; what the last commit lists as pending is out."""
    place = f"{name} {partition}"
    newest: dict[bytes, int] = {}
    floor = -1
    for record, tag in zip(records, _tags_of(name, records), strict=True):
        if record.key == FENCE_KEY:
            assert record.value is not None
            claim = int(record.value)
            floor = max((commit for commit in log.commits if commit < claim), default=-1) if log.is_whole else floor
            continue
        if tag < newest.get(record.key, -1):
            yield f"{place}: {record.key!r} went from tag {newest[record.key]} back to {tag} at {record.offset}"
        if log.is_whole and tag not in log.commits:
            yield f"{place}: tag {tag} at {record.offset} is no commit's offset"
        if tag < floor:
            yield f"{place}: tag {tag} at {record.offset} stands behind the fence of an owner that began at {floor}"
        newest[record.key] = tag
    last = max(log.commits)
    pending = _decode_pending(log.commits[last].pending)
    wanted = pending.accounts if name == "journeys" else [*pending.cells, COVERS_KEY]
    missing = [key for key in wanted if newest.get(key) != last]
    if missing:
        yield f"{place}: {len(missing)} of the last commit ({last}) were not published, e.g. {missing[:_SHOWN]}"


def _published_sums(bootstrap: str, settings: Settings) -> Iterator[str]:
    """The partials, summed, are the snapshots at the same covers."""
    cells, snapshots = PublishedCells(), PublishedSnapshots()
    for record in read_topic(bootstrap, topic_name("partials", settings.prefix, settings.generation)):
        cells.apply(record.partition, record.key, record.value)
    for record in read_topic(bootstrap, topic_name("snapshots", settings.prefix, settings.generation)):
        snapshots.apply(record.key, record.value)
    touchpoints = topic_name("touchpoints", settings.prefix, settings.generation)
    applied = {str(partition): covers.applied[touchpoints] for partition, covers in cells.covers.items()}
    for definition in read_definitions(bootstrap, settings).definitions:
        snapshot = snapshots.by_name[definition.analysis.name]
        if snapshot.applied != applied:
            yield f"snapshot {definition.analysis.name} contains {snapshot.applied}, the partials {applied}"
            continue
        body = body_of(definition, summed(cells.cells(definition.version)), snapshot.clock_ms)
        for difference in list(body_differences(body, snapshot.body))[:_SHOWN]:
            yield f"snapshot {definition.analysis.name} is not the sum of the partials: {difference}"


def _every_source_record(bootstrap: str, settings: Settings) -> Iterator[str]:
    """Each is a touchpoint or a dead letter, never both, never neither."""
    sources, origins, letters = set(), set(), set()
    for name in ("crm-events", "web-events"):
        topic = topic_name(name, settings.prefix, settings.generation)
        (topic_id,) = topic_ids(bootstrap, [topic]).values()
        for record in read_topic(bootstrap, topic):
            sources.add((topic, record.partition, record.offset))
        prefix = topic_id.encode() + b":"
        for record in read_topic(bootstrap, topic_name("dead-letters", settings.prefix, settings.generation)):
            if record.key.startswith(prefix):
                _, partition, offset = record.key.rsplit(b":", 2)
                letters.add((topic, int(partition), int(offset)))
    for record in read_topic(bootstrap, topic_name("touchpoints", settings.prefix, settings.generation)):
        assert record.value is not None
        origin = decode_touchpoint(record.value).origin
        assert origin is not None
        origins.add(tuple(origin))
    for text, wrong in (
        ("were neither touchpoint nor dead letter", sources - origins - letters),
        ("were both touchpoint and dead letter", origins & letters),
        ("came from nowhere", (origins | letters) - sources),
    ):
        if wrong:
            yield f"{len(wrong)} source records {text}, e.g. {sorted(wrong)[:_SHOWN]}"


def disk_findings(bootstrap: str, settings: Settings, disks: Sequence[Path], scratch: Path) -> Iterator[str]:
    """Every worker's disk, brought up to the end of the log, equals a restore from nothing. disks: of each worker the
    folder that holds those of its roles; they must be gone themselves."""
    for role in ("accounts", "deliver"):
        yield from _disk_findings(bootstrap, settings, role, disks, scratch)


def _disk_findings(
    bootstrap: str, settings: Settings, role: str, disks: Sequence[Path], scratch: Path
) -> Iterator[str]:
    name = topic_name(f"{role}-changelog", settings.prefix, settings.generation)
    topic_id = topic_ids(bootstrap, [name])[name]
    ends = {partition: records[-1] for partition, records in _by_partition(bootstrap, settings, f"{role}-changelog")}
    for partition, last in sorted(ends.items()):
        changelog = Changelog(name, partition, topic_id, settings.generation)
        target = Appended(last.offset, last.append_time)
        fresh = _rows_of(bootstrap, scratch / role / str(partition), changelog, target)
        for folder in (disk / role for disk in disks):
            if not folder.joinpath(str(partition)).exists():
                continue
            rows = _rows_of(bootstrap, folder / str(partition), changelog, target)
            wrong = [key for key in rows.keys() | fresh.keys() if rows.get(key) != fresh.get(key)]
            if wrong:
                yield f"{folder}/{partition}: {len(wrong)} rows differ from a restore, e.g. {sorted(wrong)[:_SHOWN]}"


def _rows_of(bootstrap: str, folder: Path, changelog: Changelog, target: Appended) -> dict[bytes, bytes]:
    """The rows of a disk, as a worker would have them that starts on it: a damaged one is found out when it is read,
    and made anew at the next start."""
    try:
        return _restored_rows(bootstrap, folder, changelog, target)
    except UnavailableError:
        return _restored_rows(bootstrap, folder, changelog, target)


def _restored_rows(bootstrap: str, folder: Path, changelog: Changelog, target: Appended) -> dict[bytes, bytes]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    store = RocksStore(folder)
    try:
        asyncio.run(restore(store, bootstrap, changelog, target))
        return {key: value for key, value in store.scan(b"") if key != POSITION_KEY}
    finally:
        store.close()
