"""The oldest and the newest touchpoint of containers that lost theirs: only the touchpoint rows can tell.

They lie by event and not by time, so all of an account's are read, once for all of its containers and one page at a
time. Kept are two of them per container, whatever their number.
"""

from collections.abc import Container, Sequence

import msgspec

from state.groups import Added, Group
from state.layers import Share
from state.rows import ContainerRow, counting_touchpoints
from state.series import key_of_entry
from streams.store import Rows


class Edges(msgspec.Struct):
    """The oldest and the newest touchpoint of a container."""

    first: Added
    last: Added

    def take(self, added: Added) -> None:
        """One more touchpoint."""
        self.first = min(self.first, added, key=key_of_entry)
        self.last = max(self.last, added, key=key_of_entry)


def loses_an_edge(group: Group, row: ContainerRow) -> bool:
    """Whether a batch takes away a container's oldest or newest touchpoint for good."""
    gone = {order for order, _ in group.removed} - {order for order, *_ in group.added}
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
        for added in group.added:
            _take(found, group.key, added)
    for order, touchpoint in counting_touchpoints(store, account, share.plan.decode, superseded):
        if share.until is not None and order > share.until:
            continue
        for kind in plans:
            key = key_by_place.get((kind.code, kind.id_of(touchpoint)))
            if key is None or not _is_edge(found.get(key), order):
                continue
            projections = kind.project(touchpoint)
            if kind.counts_all or projections is not None:
                _take(found, key, (order, projections, touchpoint.event_time, touchpoint.type))
    return found


def _is_edge(edges: Edges | None, order: bytes) -> bool:
    """Whether a touchpoint lies before or behind what is known; most of a large account do not."""
    return edges is None or not edges.first[0] <= order <= edges.last[0]


def _take(found: dict[bytes, Edges], key: bytes, added: Added) -> None:
    edges = found.get(key)
    if edges is None:
        found[key] = Edges(added, added)
    else:
        edges.take(added)
