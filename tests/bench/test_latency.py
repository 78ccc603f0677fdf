"""The events of a live load."""

from collections import defaultdict

import msgspec
import pytest

from bench.measures.latency import TYPES, record
from bench.schedule import Load


@pytest.mark.parametrize("accounts", range(12, 18))
def test_every_account_has_each_type_once(accounts: int) -> None:
    """However many accounts there are; or numbers would stand still, and snapshots wait for that."""
    load = Load(0.0, 100.0, accounts * len(TYPES), accounts, 0)
    types_by_account = defaultdict(list)
    for number in range(load.events):
        key, value = record(load, number, 0)
        types_by_account[key].append(msgspec.json.decode(value)["type"])
    assert len(types_by_account) == accounts
    assert all(sorted(types) == sorted(TYPES) for types in types_by_account.values())
