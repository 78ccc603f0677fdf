"""Runs touchpoints through the accounts stage and reads the cells back, for tests that say them by hand."""

from collections.abc import Sequence
from typing import Any

from state.accounts import Accounts
from streams.partials import decode_cell
from streams.store import Store
from streams.touchpoint import Touchpoint
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import Record, definition_set


def cells_of(store: Store) -> dict[tuple[Any, ...], int]:
    """Cell → contribution, of all analyses as one; lists inside cells as tuples."""
    return {_frozen(decode_cell(key[1:])[1]): int(value) for key, value in store.scan(b"c") if value != b"0"}


def cells(
    analysis: dict[str, Any], *batches: list[Touchpoint], zone: str = "UTC", beside: Sequence[dict[str, Any]] = ()
) -> dict[tuple[Any, ...], int]:
    """The cells of one analysis after these batches, and of those beside it, which have names."""
    plan, store = layers_of(definition_set([{"name": "it", **analysis}, *beside], zone)), MemoryStore()
    for batch in batches:
        store.apply(Accounts(plan, store).compute([Record(t) for t in batch]).rows)
    return cells_of(store)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list | tuple) else value
