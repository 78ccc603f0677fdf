"""What a batch changes in the cells of analyses with a filter: the contributions of containers behind gates.

The law is that of `state.tallies`. The tallies of a container lie one behind the other in the store, those of all
containers of an account too, so what a gate lets in or out is one scan. The rows of tallies change by what the
containers report, never by what the gate of their account does.
"""

from typing import Any

from state.analyses.lens import Lens
from state.analyses.segment import GATE, AccountGateLens
from state.definitions import ContainerKind
from state.plan import CODE_BY_KIND, VISITS
from state.rows import account_tallies_prefix, pack, parts_of, place_of, tally_key_at
from state.tallies import counted
from streams.store import Row, Store

_GATE = pack(GATE)
_ACCOUNT = CODE_BY_KIND[ContainerKind.ACCOUNT]
Packed = dict[bytes, int]  # packed cell → change, or tally


class GatedChanges:
    """Collects the changes of containers and the turns of accounts' gates, each once, then settles them together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._own: dict[tuple[str, bytes], dict[bytes, tuple[Lens, Packed]]] = {}
        self._turned: dict[tuple[str, bytes], tuple[AccountGateLens, int]] = {}

    def add(self, lens: Lens, container: bytes, cells: dict[Any, int]) -> None:
        """What a container reports."""
        if reported := {pack(cell): change for cell, change in cells.items() if change}:
            place = place_of(container)
            of_account = self._own.setdefault((lens.version, parts_of(place)[0]), {})
            of_account[place] = lens, reported

    def turn(self, lens: AccountGateLens, account: bytes, cells: dict[Any, int]) -> None:
        """What the gate of an account reports."""
        if change := cells.get(GATE, 0):
            self._turned[lens.version, parts_of(place_of(account))[0]] = lens, change

    def settle(self, changes: Packed, rows: list[Row]) -> None:
        """Adds what changes of cells, by their keys, and the rows of the tallies."""
        for (version, account), of_account in self._own.items():
            if (version, account) not in self._turned:
                is_open = self._is_open(version, account) if _is_under(of_account) else True
                for place, (lens, reported) in of_account.items():
                    tally = self._tally(lens, place, reported)
                    _settle_one(changes, rows, lens, place, reported, tally, (is_open, is_open))
        for (version, account), (gate, change) in self._turned.items():
            of_account = self._own.get((version, account), {})
            tallies = self._tallies_under(version, account)
            for place in sorted(tallies.keys() | of_account.keys()):
                _, reported = of_account.get(place, (gate.of, {}))
                tally = tallies.get(place, {})
                _settle_one(changes, rows, gate.of, place, reported, tally, (change < 0, change > 0))
            rows.append((tally_key_at(version, account + b"\0" + _ACCOUNT, _GATE), b"1" if change > 0 else None))

    def _is_open(self, version: str, account: bytes) -> bool:
        """Whether the account's gate, of an analysis that looks at accounts, was open."""
        (found,) = self._store.get([tally_key_at(version, account + b"\0" + _ACCOUNT, _GATE)])
        return found is not None

    def _tally(self, lens: Lens, place: bytes, reported: Packed) -> Packed:
        """The tally of a container, as far as changes need it."""
        if _gate_of(lens, place) in reported:
            prefix = tally_key_at(lens.version, place, b"")
            return {key[len(prefix) :]: int(value) for key, value in self._store.scan(prefix)}
        some = [_GATE, *reported]
        found = self._store.get([tally_key_at(lens.version, place, cell) for cell in some])
        return {cell: int(value) for cell, value in zip(some, found, strict=True) if value is not None}

    def _tallies_under(self, version: str, account: bytes) -> dict[bytes, Packed]:
        """The tallies of all containers under an account."""
        prefix = account_tallies_prefix(account, version)
        found: dict[bytes, Packed] = {}
        for key, value in self._store.scan(prefix):
            id_, _, cell = key[len(prefix) :].partition(b"\0")
            if id_ != _ACCOUNT:
                found.setdefault(account + b"\0" + id_, {})[cell] = int(value)
        return found


def _settle_one(
    changes: Packed,
    rows: list[Row],
    lens: Lens,
    place: bytes,
    reported: Packed,
    tally: Packed,
    open_: tuple[bool, bool],
) -> None:
    # Derived sessions count once, and have their own gate, in the state of the person's visits.
    distinct = lens.distinct and parts_of(place)[1] != VISITS
    was_open, is_open = open_
    gate = _gate_of(lens, place)
    for cell, step in counted(tally, reported, gate, distinct=distinct, was_open=was_open, is_open=is_open).items():
        key = lens.version.encode() + b"\0" + cell
        changes[key] = changes.get(key, 0) + step
    rows.extend(
        (tally_key_at(lens.version, place, cell), b"%d" % tally[cell] if cell in tally else None) for cell in reported
    )


def _is_under(of_account: dict[bytes, tuple[Lens, Packed]]) -> bool:
    """Whether the containers count only while the gate of the account is open."""
    return any(lens.under_account for lens, _ in of_account.values())


def _gate_of(lens: Lens, place: bytes) -> bytes | None:
    """The container's own gate."""
    return None if lens.gate is None or parts_of(place)[1] == VISITS else _GATE
