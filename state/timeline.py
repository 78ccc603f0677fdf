"""The timeline of a large account: its touchpoints in the order of time, each with when it came.

Touchpoint rows lie by event, so whoever wants the newest ones reads them all. Of an account with few that is quick;
one with more than `TOUCHPOINTS_MIN` has a timeline. It lies in leaves of neighbours, each under the order key of its
first when it was made; the first leaf has none, so it lies before everything. Law: behind every commit its entries are
those of the account's touchpoints that count.

Cost of a batch: per large account the leaves in which something comes or goes, mostly the last, of 2 KiB each. An
account that was larger before there were timelines has none.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping

from state.rows import decode_leaf, encode_row, keys_of, timeline_prefix, touchpoints_prefix
from streams.store import Row, Rows
from streams.touchpoint import decode_touchpoint

TOUCHPOINTS_MIN = 2_000
LEAF_ENTRIES = 32
LEAF_ENTRIES_MAX = 48

Entry = tuple[bytes, int]  # order key, ingest time in milliseconds


class Timeline:
    """That of one account, as rows show it."""

    def __init__(self, rows: Rows, account: bytes) -> None:
        self._rows = rows
        self._account = account
        self._prefix = timeline_prefix(account)

    def exists(self) -> bool:
        """Whether there is one."""
        return self._rows.get([self._prefix])[0] is not None

    def newest_first(self) -> Iterator[list[Entry]]:
        """All entries, newest first, a leaf at a time."""
        key = self._prefix + _END
        while (found := self._rows.floor(self._prefix, key)) is not None:
            place, leaf = found
            yield decode_leaf(leaf)[::-1]
            if place == self._prefix:
                return
            key = _just_before(place)

    def changed(self, count: int, removed: Collection[bytes], added: Mapping[bytes, int]) -> Iterator[Row]:
        """The rows of what a batch changes. count: how many touchpoints the account has behind it. removed, added: the
        order keys of those that go, and of those that come with their ingest times; one may do both."""
        count_before = count - len(added) + len(removed)
        if count <= TOUCHPOINTS_MIN:
            yield from ((key, None) for key, _ in self._rows.scan(self._prefix))
        elif self.exists():
            yield from self._changed_leaves(removed, added)
        elif count_before <= TOUCHPOINTS_MIN:
            stored = self._stored()
            for order in removed:
                del stored[order]
            yield from self._leaves(self._prefix, {**stored, **added}.items())

    def _stored(self) -> dict[bytes, int]:
        """What the touchpoint rows say."""
        values = (value for _, value in self._rows.scan(touchpoints_prefix(self._account)))
        found = map(decode_touchpoint, values)
        return {keys_of(self._account, each)[1]: each.ingest_time for each in found if not each.withdrawn}

    def _changed_leaves(self, removed: Iterable[bytes], added: Mapping[bytes, int]) -> Iterator[Row]:
        orders = sorted({*removed, *added})
        while orders:
            home = self._rows.floor(self._prefix, self._prefix + orders[0])
            assert home is not None, "the first leaf lies before everything"
            place, leaf = home
            behind = self._rows.after(self._prefix, place)
            end = len(orders) if behind is None else bisect_left(orders, behind[0].removeprefix(self._prefix))
            entries = dict(decode_leaf(leaf))
            for order in orders[:end]:
                assert order in added or order in entries, "only a build without timelines leaves one behind"
                if order in added:
                    entries[order] = added[order]
                else:
                    del entries[order]
            yield from self._leaves(place, entries.items())
            orders = orders[end:]

    def _leaves(self, place: bytes, found: Iterable[Entry]) -> Iterator[Row]:
        """The entries in the leaf at a place, and in more where they are too many for one."""
        entries = sorted(found)
        if not entries and place != self._prefix:
            yield place, None
            return
        size = len(entries) if len(entries) <= LEAF_ENTRIES_MAX else LEAF_ENTRIES
        yield place, encode_row(entries[:size])
        for start in range(size, len(entries), LEAF_ENTRIES):
            leaf = entries[start : start + LEAF_ENTRIES]
            yield self._prefix + leaf[0][0], encode_row(leaf)


_END = b"\xff"  # behind every order key, and no byte of one's text


def _just_before(place: bytes) -> bytes:
    """What lies before a leaf's key and behind those of all leaves before it."""
    return place[:-1] + bytes([place[-1] - 1]) + _END
