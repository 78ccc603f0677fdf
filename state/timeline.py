"""The timeline of a large account: the order keys of its touchpoints, in the order of time.

Touchpoint rows lie by event, so whoever wants the newest ones reads them all. Of an account with few that is quick;
one that grows past `TOUCHPOINTS_MIN` has a timeline until it has `TOUCHPOINTS_LEFT`. It lies in leaves of neighbours,
each under the order key of its first when it was made; the first leaf has none, so it lies before everything. Law:
behind every commit it has the account's touchpoints that count, and nothing else.

Cost of a batch: per large account the leaves in which something comes or goes, mostly the last, of 1 KiB each. An
account that was larger before there were timelines has none. Leaves that have lost most of theirs stay as they are.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator

from state.rows import counting_touchpoints, decode_leaf, encode_row, timeline_prefix
from streams.store import Row, Rows
from streams.touchpoint import prefix_decoder

TOUCHPOINTS_MIN, TOUCHPOINTS_LEFT = 2_000, 1_000
LEAF_ENTRIES, LEAF_ENTRIES_MAX = 16, 24

_decode_place = prefix_decoder(())


class Timeline:
    """That of one account, as rows show it."""

    def __init__(self, rows: Rows, account: bytes) -> None:
        self._rows = rows
        self._account = account
        self._prefix = timeline_prefix(account)

    def exists(self) -> bool:
        """Whether there is one."""
        return self._rows.get([self._prefix])[0] is not None

    def newest_first(self) -> Iterator[list[bytes]]:
        """All order keys of one that exists, newest first, a leaf at a time."""
        key = self._prefix + _END
        while True:
            found = self._rows.floor(self._prefix, key)
            assert found is not None, "the first leaf lies before everything"
            place, leaf = found
            yield decode_leaf(leaf)[::-1]
            if place == self._prefix:
                return
            key = _just_before(place)

    def changed(self, count: int, removed: Collection[bytes], added: Collection[bytes]) -> Iterator[Row]:
        """The rows of what a batch changes. count: how many touchpoints the account has behind it. removed, added: the
        order keys of those that go and of those that come; one may do both."""
        count_before = count - len(added) + len(removed)
        if count <= TOUCHPOINTS_LEFT:
            yield from ((key, None) for key, _ in self._rows.scan(self._prefix))
        elif self.exists():
            yield from self._changed_leaves(removed, added)
        elif count_before <= TOUCHPOINTS_MIN < count:
            yield from self._leaves(self._prefix, (self._stored() - {*removed}) | {*added})

    def _stored(self) -> set[bytes]:
        """What the touchpoint rows say."""
        return {order for order, _ in counting_touchpoints(self._rows, self._account, _decode_place)}

    def _changed_leaves(self, removed: Iterable[bytes], added: Iterable[bytes]) -> Iterator[Row]:
        coming = frozenset(added)
        orders = sorted(dict.fromkeys([*removed, *added]))  # in the order of time already, most often
        start = 0
        while start < len(orders):
            home = self._rows.floor(self._prefix, self._prefix + orders[start])
            assert home is not None, "the first leaf lies before everything"
            place, leaf = home
            behind = self._rows.after(self._prefix, place)
            end = len(orders) if behind is None else bisect_left(orders, behind[0].removeprefix(self._prefix), start)
            here = orders[start:end]
            changing = frozenset(here)
            kept = [order for order in decode_leaf(leaf) if order not in changing]
            yield from self._leaves(place, kept + [order for order in here if order in coming])
            start = end

    def _leaves(self, place: bytes, found: Iterable[bytes]) -> Iterator[Row]:
        """These in the leaf at a place, and in more where they are too many for one."""
        orders = sorted(found)
        if not orders and place != self._prefix:
            yield place, None
            return
        size = len(orders) if len(orders) <= LEAF_ENTRIES_MAX else LEAF_ENTRIES
        yield place, encode_row(orders[:size])
        for start in range(size, len(orders), LEAF_ENTRIES):
            leaf = orders[start : start + LEAF_ENTRIES]
            yield self._prefix + leaf[0], encode_row(leaf)


_END = b"\xff"  # behind every order key, and no byte of one's text


def _just_before(place: bytes) -> bytes:
    """What lies before a leaf's key and behind those of all leaves before it."""
    return place[:-1] + bytes([place[-1] - 1]) + _END
