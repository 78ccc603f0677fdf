"""Chunks and timelines so small that small worlds have many, and what must hold of timelines."""

import pytest

from state import account_batch, series, timeline
from state.rows import account_of, decode_leaf, keys_of, timeline_prefix
from state.timeline import Timeline
from streams.touchpoint import decode_touchpoint
from tests.state.memory_store import MemoryStore


def make_chunks_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three entries, or up to five where something comes late."""
    monkeypatch.setattr(series, "CHUNK_ENTRIES_FIRST", 3)
    monkeypatch.setattr(series, "CHUNK_ENTRIES", 3)
    monkeypatch.setattr(series, "CHUNK_ENTRIES_MAX", 5)


def make_timelines_small(monkeypatch: pytest.MonkeyPatch, touchpoints_min: int = 3) -> None:
    """An account that grows past so many has one until half of these are left, with leaves of two or three."""
    monkeypatch.setattr(timeline, "TOUCHPOINTS_MIN", touchpoints_min)
    monkeypatch.setattr(timeline, "TOUCHPOINTS_LEFT", touchpoints_min // 2)
    monkeypatch.setattr(account_batch, "TOUCHPOINTS_LEFT", touchpoints_min // 2)
    monkeypatch.setattr(timeline, "LEAF_ENTRIES", 2)
    monkeypatch.setattr(timeline, "LEAF_ENTRIES_MAX", 3)


def assert_timelines_are_whole(store: MemoryStore) -> None:
    """Each large account has one, and none has one that is small. It has all touchpoints that count, in order; only the
    first leaf may be empty, and none is too long."""
    expected: dict[bytes, list[bytes]] = {}
    for key, value in store.scan(b"t"):
        touchpoint = decode_touchpoint(value)
        if not touchpoint.withdrawn:
            expected.setdefault(account_of(key), []).append(keys_of(account_of(key), touchpoint)[1])
    leaf_count = 0
    for account, orders in expected.items():
        leaves = [decode_leaf(value) for _, value in store.scan(timeline_prefix(account))]
        if leaves:
            assert len(orders) > timeline.TOUCHPOINTS_LEFT
            found = [order for leaf in Timeline(store, account).newest_first() for order in leaf]
            assert found == sorted(orders, reverse=True)
            assert all(0 < len(leaf) <= timeline.LEAF_ENTRIES_MAX for leaf in leaves[1:])
        else:
            assert len(orders) <= timeline.TOUCHPOINTS_MIN
        leaf_count += len(leaves)
    assert leaf_count == len(list(store.scan(b"i")))
