"""How far an import came: a small file that is written only after Kafka acknowledged the rows it counts.

An import that is cut off and started again goes on after the last such row. What it sends twice is harmless: event ids
come from the rows, and the accounts stage knows an event by its id.
"""

import os
from pathlib import Path

import msgspec

from streams.mapping.rows import MappedEvent, Reject

REASON_COUNT_MAX = 50
_OTHER = "other reasons"


class Tally(msgspec.Struct):
    """What rows became. A row without an account counts whether it was sent or rejected.

    repeated_ids: events with the source and id of an earlier one, as far as that was looked at.
    """

    rows: int = 0
    rows_without_event: int = 0
    rows_rejected: int = 0
    rows_without_account: int = 0
    events_without_account: int = 0
    repeated_ids: int = 0
    events_by_type: dict[str, int] = {}
    rejects_by_reason: dict[str, int] = {}

    @property
    def events(self) -> int:
        """Events of all types."""
        return sum(self.events_by_type.values())

    def add_events(self, events: list[MappedEvent]) -> None:
        """Counts a row that was taken."""
        self.rows += 1
        without_account = 0
        for event in events:
            self.events_by_type[event.type] = self.events_by_type.get(event.type, 0) + 1
            without_account += not event.has_account
        self.rows_without_event += not events
        self.events_without_account += without_account
        self.rows_without_account += without_account > 0

    def add_reject(self, reject: Reject) -> None:
        """Counts a row that was rejected."""
        self.rows += 1
        self.rows_rejected += 1
        self.rows_without_account += not reject.has_account
        known = reject.reason in self.rejects_by_reason or len(self.rejects_by_reason) < REASON_COUNT_MAX
        reason = reject.reason if known else _OTHER
        self.rejects_by_reason[reason] = self.rejects_by_reason.get(reason, 0) + 1


class Checkpoint(msgspec.Struct):
    """Everything up to `tally.rows` is acknowledged.

    ends: per partition the offset after the import's last record. rejects_bytes: the length of the rejects file then.
    """

    tally: Tally
    ends: dict[int, int] = {}
    rejects_path: str = ""
    rejects_bytes: int = 0
    finished: bool = False


def load_checkpoint(path: Path) -> Checkpoint:
    """What was saved; a new beginning when there is nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except (FileNotFoundError, msgspec.DecodeError):
        return Checkpoint(Tally())


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Saves whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(checkpoint))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
