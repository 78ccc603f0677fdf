"""What a batch of touchpoints says, against what is known of them: per container what joins and what leaves.

Of each event the version that counts is kept. The store is read and never written: one multi-get for the touchpoint
rows and everything that they may change, and one more where earlier versions lay in other containers.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol

import msgspec

from state.plan import KindPlan, Plan
from state.rows import WAITING_PREFIX, container_key, keys_of
from streams.store import Row, Rows
from streams.touchpoint import Touchpoint, decode_touchpoint, version_of

# A touchpoint that joins a container: its order key, what the plan reads, its time and type.
Added = tuple[bytes, list[Any] | None, int, str]


class TouchpointRecord(Protocol):
    """What the stage reads of a record: the account as key, the touchpoint as value."""

    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...


class Group(msgspec.Struct, gc=False):
    """What a batch changes in one container: (order key, what the plan reads, time, type) that joins, and the first two
    of what leaves. value: its row as it is."""

    plan: KindPlan
    account: bytes
    id: str
    key: bytes
    added: list[Added]
    removed: list[tuple[bytes, list[Any] | None]]
    value: bytes | None = None


_key_of = attrgetter("key")


class Groups:
    """The containers that one batch changes.

    all: in the order of their keys, for so RocksDB takes their rows sooner; those that are found late come behind.
    touchpoints: the touchpoint rows to write. newest_ms: the greatest event time in the batch. shrunk: those that may
    lose something, by key. until: where only touchpoints up to this order key are in the containers, and those behind
    it wait.
    """

    def __init__(self, plan: Plan, store: Rows, until: bytes | None = None) -> None:
        self._plan = plan
        self._store = store
        self._until = until
        self._waiting: set[bytes] = set()
        self._waiting_no_more: set[bytes] = set()
        self.all: list[Group] = []
        self._unread: list[Group] = []
        self._by_account: dict[bytes, Group] = {}
        self._others: list[tuple[KindPlan, dict[tuple[bytes, str], Group]]] = [(plan, {}) for plan in plan.others]
        self.touchpoints: dict[bytes, bytes] = {}
        self.shrunk: dict[bytes, Group] = {}
        self.newest_ms = 0
        self._places: dict[bytes, dict[bytes, int]] = {}  # of what joined, by order key; of groups that were taken from

    def read(self, records: Sequence[TouchpointRecord]) -> None:
        """Takes `records`, in the order of their offsets; once."""
        decode, touchpoints = self._plan.decode, self.touchpoints
        keys = []
        repeated: list[int] = []
        newest = 0
        for index, record in enumerate(records):
            touchpoint = decode(record.value)
            key, order = keys_of(record.key, touchpoint)
            keys.append(key)
            if key in touchpoints or touchpoint.withdrawn:
                repeated.append(index)
            else:
                touchpoints[key] = record.value
                self._add(record.key, order, touchpoint)
            if touchpoint.event_time > newest:
                newest = touchpoint.event_time
        self.newest_ms = newest
        self._settle_versions(records, keys, self._read_known(keys), repeated)
        self.read_missing()

    def take(self, account: bytes, touchpoints: Iterable[tuple[bytes, Touchpoint]]) -> None:
        """Takes touchpoints of an account, with their order keys, whose rows are there already and that none of its
        containers has yet."""
        for order, touchpoint in touchpoints:
            self._add(account, order, touchpoint)

    def waiting_rows(self) -> list[Row]:
        """The rows of the touchpoints that wait, and of those that wait no more."""
        gone: list[Row] = [(WAITING_PREFIX + order, None) for order in self._waiting_no_more - self._waiting]
        return gone + [(WAITING_PREFIX + order, b"") for order in self._waiting]

    def _read_known(self, keys: list[bytes]) -> list[bytes | None]:
        """One multi-get: the touchpoint rows `keys`, which it gives, and those of the containers that are not read."""
        groups, self._unread = sorted(self._unread, key=_key_of), []
        wanted = [*keys, *map(_key_of, groups)]
        found = self._store.get(wanted) if wanted else []
        for group, value in zip(groups, islice(found, len(keys), None), strict=True):
            group.value = value
        self.all += groups
        return found[: len(keys)]

    def _add(self, account: bytes, order: bytes, touchpoint: Touchpoint) -> None:
        if self._until is not None and order > self._until:
            self._waiting.add(order)
            return
        for group, projections in self._changed_by(account, touchpoint):
            group.added.append((order, projections, touchpoint.event_time, touchpoint.type))

    def _remove(self, account: bytes, touchpoint: Touchpoint) -> None:
        """Takes a touchpoint back: one that this batch added, or one of the store's."""
        if touchpoint.withdrawn:
            return
        _, order = keys_of(account, touchpoint)
        if self._until is not None and order > self._until:
            if order in self._waiting:
                self._waiting.remove(order)
            else:
                self._waiting_no_more.add(order)
            return
        for group, projections in self._changed_by(account, touchpoint):
            if not self._take_from(group, order):
                group.removed.append((order, projections))
                self.shrunk[group.key] = group

    def _take_from(self, group: Group, order: bytes) -> bool:
        """Takes out of what joined the container in this batch; False when it did not. The last one takes its place,
        for they are in no order yet."""
        places = self._places.get(group.key)
        if places is None:
            places = self._places[group.key] = {added[0]: place for place, added in enumerate(group.added)}
        place = places.pop(order, None)
        if place is None:
            return False
        last = group.added.pop()
        if place < len(group.added):
            group.added[place] = last
            places[last[0]] = place
        return True

    def _changed_by(self, account: bytes, touchpoint: Touchpoint) -> list[tuple[Group, list[Any] | None]]:
        """Each container that a touchpoint can change, with what its plan reads of it."""
        group = self._by_account.get(account)
        if group is None:
            group = self._by_account[account] = self._new_group(self._plan.account, account, "")
        found = [(group, group.plan.project(touchpoint))]
        for plan, groups in self._others:
            id_ = plan.id_of(touchpoint)
            if id_ is not None:
                projections = plan.project(touchpoint)
                if projections is not None or plan.needs_first:
                    group = groups.get((account, id_))
                    if group is None:
                        group = groups[account, id_] = self._new_group(plan, account, id_)
                    found.append((group, projections))
        return found

    def _new_group(self, plan: KindPlan, account: bytes, id_: str) -> Group:
        key = container_key(self._plan.code, account, plan.code, id_.encode())
        group = Group(plan, account, id_, key, [], [])
        self._unread.append(group)
        return group

    def _settle_versions(
        self, records: Sequence[TouchpointRecord], keys: list[bytes], known: list[bytes | None], repeated: list[int]
    ) -> None:
        """Keeps of each event the version that counts. Up to here the first of each key stands as added, as if no
        row knew it and nothing took it back."""
        touchpoints, decode = self.touchpoints, self._plan.decode
        again = set(repeated)
        for index, old in enumerate(known):
            if old is not None and index not in again:
                self._replace(records[index].key, keys[index], old, records[index].value)
        for index in repeated:
            key, value = keys[index], records[index].value
            old = touchpoints.get(key, known[index])
            if old is None:
                touchpoints[key] = value  # a withdrawal of what was never here stays, so that nothing older counts
            elif _supersedes(value, old):
                self._remove(records[index].key, decode(old))
                touchpoints[key] = value
                touchpoint = decode(value)
                if not touchpoint.withdrawn:
                    self._add_again(records[index].key, touchpoint)

    def _add_again(self, account: bytes, touchpoint: Touchpoint) -> None:
        """Adds another version of what was taken back."""
        _, order = keys_of(account, touchpoint)
        if self._until is not None and order > self._until:
            self._waiting.add(order)
            return
        for group, projections in self._changed_by(account, touchpoint):
            if (places := self._places.get(group.key)) is not None:
                places[order] = len(group.added)
            group.added.append((order, projections, touchpoint.event_time, touchpoint.type))

    def _replace(self, account: bytes, key: bytes, old: bytes, value: bytes) -> None:
        """Puts right what was added although the store knows its event."""
        if _supersedes(value, old):
            # Removed before it is added: the two may stand at the same place.
            touchpoint = self._plan.decode(value)
            self._remove(account, touchpoint)
            self._remove(account, self._plan.decode(old))
            self._add_again(account, touchpoint)
        else:
            self._remove(account, self._plan.decode(value))
            del self.touchpoints[key]

    def read_missing(self) -> None:
        """The rows of containers that were not read yet: of earlier versions only, which `read` did not know of, or of
        what was taken."""
        self._read_known([])


def _supersedes(value: bytes, old: bytes) -> bool:
    """Whether a touchpoint's payload counts instead of another one of the same event."""
    return version_of(decode_touchpoint(value)) > version_of(decode_touchpoint(old))
