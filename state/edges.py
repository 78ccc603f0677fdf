"""The oldest and the newest touchpoint of containers that lost theirs: only the touchpoint rows can tell.

They lie by event and not by time, so all of an account's are read, once for all of its containers and one page at a
time. Kept are two of them per container, whatever their number.
"""

from collections.abc import Container, Sequence

import msgspec

from state.groups import Group
from state.layers import Share
from state.plan import KindPlan
from state.rows import ContainerRow, counting_touchpoints
from streams.store import Rows
from streams.touchpoint import Touchpoint

Placed = tuple[bytes, Touchpoint]  # order key, touchpoint


class Edges(msgspec.Struct):
    """The oldest and the newest touchpoint of a container."""

    first: Placed
    last: Placed

    def take(self, placed: Placed) -> None:
        """One more touchpoint."""
        if placed[0] < self.first[0]:
            self.first = placed
        elif placed[0] > self.last[0]:
            self.last = placed


def loses_an_edge(group: Group, row: ContainerRow) -> bool:
    """Whether a batch takes away a container's oldest or newest touchpoint for good."""
    gone = {order for order, _ in group.removed} - {order for order, _, _ in group.added}
    return row.first in gone or row.last in gone


def edges_of(
    share: Share, store: Rows, account: bytes, groups: Sequence[Group], superseded: Container[bytes]
) -> dict[bytes, Edges]:
    """The edges behind the batch of an account's `groups`, by key; none of a container that has nothing left.

    superseded: keys of touchpoint rows that the batch writes; what they are now is in the groups.
    """
    key_by_place: dict[tuple[bytes, str | None], bytes] = {(each.plan.code, each.id): each.key for each in groups}
    plans = {group.plan.code: group.plan for group in groups}.values()
    found: dict[bytes, Edges] = {}
    for group in groups:
        for order, _, touchpoint in group.added:
            _take(found, group.key, (order, touchpoint))
    for placed in counting_touchpoints(store, account, share.plan.decode, superseded):
        if share.until is not None and placed[0] > share.until:
            continue
        for kind in plans:
            key = key_by_place.get((kind.code, kind.id_of(placed[1])))
            if key is not None and _belongs(kind, placed[1]):
                _take(found, key, placed)
    return found


def _belongs(plan: KindPlan, touchpoint: Touchpoint) -> bool:
    return plan.counts_all or plan.project(touchpoint) is not None


def _take(found: dict[bytes, Edges], key: bytes, placed: Placed) -> None:
    edges = found.get(key)
    if edges is None:
        found[key] = Edges(placed, placed)
    else:
        edges.take(placed)
