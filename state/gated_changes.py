"""What a batch changes in the cells of analyses with a filter: the contributions of containers behind gates.

The law is that of `state.tallies`. Gates are functions of amounts that lie in tally rows too (`state.analyses.gate`),
so whether one turns is known from what the batch reports of it. What it lets in or out is found by scans: the tallies
of a container lie one behind the other in the store, those of all containers of an account too, and a person has a row
for each named session that lies under it. The tallies of a container change by what it reports, never by what the gates
of others do.
"""

from collections.abc import Iterator, Mapping, Sequence

from state.analyses.asked import AskedLens
from state.analyses.gate import PERSON, Gate
from state.analyses.lens import Lens
from state.definitions import ContainerKind
from state.kinds import CODE_BY_KIND, VISITS
from state.rows import account_tallies_prefix, pack, parts_of, place_at, place_of, tally_key_at, unpack
from state.tallies import counted
from streams.partials import Cell
from streams.store import Row, Rows

_ACCOUNT, _PERSON, _SESSION = (
    CODE_BY_KIND[kind] for kind in (ContainerKind.ACCOUNT, ContainerKind.PERSON, ContainerKind.SESSION)
)
SESSION = "session"
"""Among the tallies of a person: `(SESSION, id)`, a named session that lies under it."""
_PAIR = b"\x92"  # how a packed cell of two begins
_OF_PERSON, _OF_SESSION = _PAIR + pack(PERSON), _PAIR + pack(SESSION)
Packed = dict[bytes, int]  # packed cell → change, or tally


class GatedChanges:
    """Collects what containers report, then settles it together."""

    def __init__(self, store: Rows) -> None:
        self._store = store
        self._by_account: dict[tuple[str, bytes], _AccountChanges] = {}

    def add(self, lens: Lens, container: bytes, cells: Mapping[Cell, int]) -> None:
        """What a container reports: one that the analysis counts, or one of which its filter asks something."""
        place = place_of(container)
        if isinstance(lens, AskedLens):
            for at, cell, change in lens.told(place, cells):
                self._of(lens.of, at).add(at, cell, change)
        else:
            for cell, change in cells.items():
                self._of(lens, place).add(place, cell, change)

    def _of(self, lens: Lens, place: bytes) -> "_AccountChanges":
        account, _, _ = parts_of(place)
        found = self._by_account.get((lens.version, account))
        if found is None:
            found = self._by_account[lens.version, account] = _AccountChanges(self._store, lens, account)
        return found

    def settle(self, changes: Packed, rows: list[Row]) -> None:
        """Adds what changes of cells, by their keys, and the rows of the tallies."""
        for each in self._by_account.values():
            each.settle(changes, rows)


class _AccountChanges:
    """The changes of one analysis under one account. Containers are told by their places."""

    def __init__(self, store: Rows, lens: Lens, account: bytes) -> None:
        """lens: of the containers that are counted."""
        self._store = store
        self._lens = lens
        self._account = account
        self._outer = {CODE_BY_KIND[level.kind]: level.gate.packed for level in lens.under}
        self._reported: dict[bytes, Packed] = {}
        self._moves: dict[bytes, dict[int, str]] = {}  # of a named session the person it leaves (-1) and joins (1)
        self._states: dict[bytes, tuple[bool, bool]] = {}  # whether gates of outer containers are open: before, now
        self._every: dict[bytes, Packed] | None = None  # all tallies under the account, where they had to be read

    def add(self, place: bytes, cell: Cell, change: int) -> None:
        """One change that was reported."""
        if not change:
            return
        if cell[0] == PERSON:
            self._moves.setdefault(place, {})[change] = cell[1]
            return
        reported, packed = self._reported.setdefault(place, {}), pack(cell)
        reported[packed] = reported.get(packed, 0) + change

    def settle(self, changes: Packed, rows: list[Row]) -> None:
        """See `GatedChanges.settle`."""
        counted_ones = set(self._moves)
        for place in sorted(self._reported):  # accounts before what lies under them
            gate = self._outer.get(parts_of(place)[1])
            if gate is None:
                counted_ones.add(place)
            elif self._turns(place, gate, rows):
                counted_ones.update(self._places_under(place))
        for place in sorted(counted_ones):
            self._settle_one(place, changes, rows)
        for place, move in self._moves.items():
            rows.extend(self._rows_of_move(place, move))

    # --- outer gates

    def _turns(self, place: bytes, gate: Gate[bytes], rows: list[Row]) -> bool:
        """Whether what was reported turns the gate of an outer container; its rows are added."""
        before, reported = self._tally_of(place, gate.cells), self._reported[place]
        now = before | {cell: before.get(cell, 0) + change for cell, change in reported.items()}
        rows.extend(self._row(place, cell, now) for cell in reported)
        was_open, is_open = self._states[place] = gate.is_open(before), gate.is_open(now)
        return was_open != is_open

    def _places_under(self, outer: bytes) -> Iterator[bytes]:
        """The containers under an outer one that are counted, and may have a tally."""
        _, code, id_ = parts_of(outer)
        if code == _ACCOUNT:
            self._every = self._read_every()
            yield from (place for place in self._every if parts_of(place)[1] not in self._outer)
        else:
            yield place_at(self._account, VISITS, id_)
            stem = tally_key_at(self._lens.version, outer, b"")
            for key, _ in self._store.scan(stem + _OF_SESSION):
                yield place_at(self._account, _SESSION, unpack(key[len(stem) :])[1].encode())

    def _let_in(self, place: bytes) -> tuple[bool, bool]:
        """Whether all outer containers let one under them count: before, and now."""
        before = now = True
        for level in self._lens.under:
            outer = self._outer_of(place, level.kind)
            was_open, is_open = (each is not None and self._state(each)[n] for n, each in enumerate(outer))
            before, now = before and was_open, now and is_open
        return before, now

    def _outer_of(self, place: bytes, kind: ContainerKind) -> tuple[bytes | None, bytes | None]:
        """The place of the outer container of a kind: before, and now."""
        if kind is ContainerKind.ACCOUNT:
            account = place_at(self._account, _ACCOUNT, b"")
            return account, account
        _, code, id_ = parts_of(place)
        if code == VISITS:
            person = place_at(self._account, _PERSON, id_)
            return person, person
        move = self._moves.get(place)
        people = (move.get(-1), move.get(1)) if move is not None else (self._person_of(place),) * 2
        before, now = (None if each is None else place_at(self._account, _PERSON, each.encode()) for each in people)
        return before, now

    def _person_of(self, session: bytes) -> str | None:
        """The person whom a named session lay under."""
        stem = tally_key_at(self._lens.version, session, b"")
        return next((unpack(key[len(stem) :])[1] for key, _ in self._store.scan(stem + _OF_PERSON)), None)

    def _state(self, outer: bytes) -> tuple[bool, bool]:
        if outer not in self._states:  # nothing of it was reported
            gate = self._outer[parts_of(outer)[1]]
            self._states[outer] = (gate.is_open(self._tally_of(outer, gate.cells)),) * 2
        return self._states[outer]

    # --- containers that are counted

    def _settle_one(self, place: bytes, changes: Packed, rows: list[Row]) -> None:
        lens, reported = self._lens, self._reported.get(place, {})
        # Derived sessions count once, and have their own gate, in the state of the person's visits.
        is_visits = parts_of(place)[1] == VISITS
        gate = None if is_visits or lens.gate is None else lens.gate.packed
        was_open, is_open = self._let_in(place)
        turns = was_open != is_open or (gate is not None and not reported.keys().isdisjoint(gate.cells))
        tally = self._tally(place) if turns else self._tally_of(place, [*(gate.cells if gate else ()), *reported])
        distinct = lens.distinct and not is_visits
        for cell, step in counted(tally, reported, gate, distinct=distinct, was_open=was_open, is_open=is_open).items():
            key = lens.version.encode() + b"\0" + cell
            changes[key] = changes.get(key, 0) + step
        rows.extend(self._row(place, cell, tally) for cell in reported)

    def _tally(self, place: bytes) -> Packed:
        """All of a container's tally."""
        if self._every is not None:
            return self._every.get(place, {})
        stem = tally_key_at(self._lens.version, place, b"")
        found = {key[len(stem) :]: int(value) for key, value in self._store.scan(stem)}
        return {cell: amount for cell, amount in found.items() if not cell.startswith(_OF_PERSON)}

    def _tally_of(self, place: bytes, cells: Sequence[bytes]) -> Packed:
        """What a container's tally has of these cells."""
        found = self._store.get([tally_key_at(self._lens.version, place, cell) for cell in cells])
        return {cell: int(value) for cell, value in zip(cells, found, strict=True) if value is not None}

    def _read_every(self) -> dict[bytes, Packed]:
        prefix = account_tallies_prefix(self._account, self._lens.version)
        found: dict[bytes, Packed] = {}
        for key, value in self._store.scan(prefix):
            id_, _, cell = key[len(prefix) :].partition(b"\0")
            tally = found.setdefault(self._account + b"\0" + id_, {})
            if not cell.startswith(_OF_PERSON):
                tally[cell] = int(value)
        return found

    # --- rows

    def _row(self, place: bytes, cell: bytes, amounts: Packed) -> Row:
        amount = amounts.get(cell, 0)
        return tally_key_at(self._lens.version, place, cell), b"%d" % amount if amount else None

    def _rows_of_move(self, session: bytes, move: dict[int, str]) -> Iterator[Row]:
        """The person among the tallies of the session, and the session among those of the person."""
        _, _, id_ = parts_of(session)
        for change, person in move.items():
            value = b"1" if change > 0 else None
            yield tally_key_at(self._lens.version, session, pack((PERSON, person))), value
            under = place_at(self._account, _PERSON, person.encode())
            yield tally_key_at(self._lens.version, under, pack((SESSION, id_.decode()))), value
