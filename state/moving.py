"""Moves accounts into the newest layer, one slice at a time, while events go on; and sweeps what nobody needs any more.

A slice is the work of one commit: the next accounts whole, from their touchpoint rows, as if these had just come; then
what the older layer had of them goes. The law of `state.layers` holds behind every slice, for a version that the older
layer has too counts these accounts already, and stays silent.

An account that is too large for a slice moves in pieces: first its touchpoints are listed in the order of time, then
they join the newest layer piece by piece from the oldest on. What they add to cells is put aside meanwhile; at last it
is added, and with the last of it the account is there.
"""

from collections.abc import Sequence
from itertools import islice

from msgspec.structs import replace

from state.account_batch import AccountBatch, Changes, Outcome
from state.journeys import journey_of
from state.layers import ALL_JOINED, Layers, LayersRow, Moving, Share, layer_rows
from state.plan import Plan
from state.rows import (
    ASIDE_PREFIX,
    TOUCHPOINTS_PREFIX,
    WAITING_PREFIX,
    account_of,
    account_stems,
    behind_account,
    container_key,
    decode_container,
    keys_of,
    touchpoint_key,
    touchpoints_prefix,
)
from streams.store import Row, Rows
from streams.touchpoint import Touchpoint

SLICE_TOUCHPOINTS = 2_000
"""What a slice moves, and the most that an account may have to move whole: about 30 ms."""
SLICE_ROWS = 5_000
"""What a slice lists or sweeps."""

Placed = list[tuple[bytes, Touchpoint]]


class Mover:
    """The next slice of a partition whose layers are more than one."""

    def __init__(self, layers: Layers, store: Rows, parts: int = 1, clock_ms: int = 0) -> None:
        """parts: into how many the usual slice is cut. clock_ms: the partition's."""
        self._touchpoints_max, self._rows_max = part_of(SLICE_TOUCHPOINTS, parts), part_of(SLICE_ROWS, parts)
        self._layers = layers
        self._row = layers.row
        self._store = store
        self._changes = Changes(layers, clock_ms)

    def slice(self) -> tuple[Outcome, LayersRow]:
        """What the next slice changes, and the layers behind it; its rows are among the outcome's."""
        if self._row.moving is None:
            row = self._move_next()
        elif self._row.moving.listed is not None:
            row = self._list(self._row.moving, self._row.moving.listed)
        elif self._row.moving.order != ALL_JOINED:
            row = self._join_piece(self._row.moving)
        else:
            row = self._add_to_cells(self._row.moving)
        outcome = self._changes.outcome(self._store)
        outcome.rows += layer_rows(row, former=self._row)
        return outcome, row

    # --- whole accounts

    def _move_next(self) -> LayersRow:
        """The next accounts, until the slice is full; or the first step of one that is too large for it."""
        reached, room = self._row.reached[0].account, self._touchpoints_max
        while True:
            account = self._account_behind(reached)
            if account is None:
                return replace(self._row, reached=[replace(self._row.reached[0], account=None)])
            rows = list(islice(self._store.scan(touchpoints_prefix(account)), room + 1))
            if len(rows) > room:
                break
            touchpoints = self._placed(account, rows)
            self._move(account, touchpoints)
            reached, room = account, room - len(rows)
        row = _reached(self._row, reached)
        return row if room < self._touchpoints_max else replace(row, moving=Moving(account, b"", b""))

    def _account_behind(self, account: bytes | None) -> bytes | None:
        found = self._store.after(TOUCHPOINTS_PREFIX, behind_account(account) if account else TOUCHPOINTS_PREFIX)
        return None if found is None else account_of(found[0])

    def _placed(self, account: bytes, rows: Sequence[Row]) -> Placed:
        """The touchpoints that count, in order."""
        decoded = (self._layers.newest.decode(value) for _, value in rows if value is not None)
        return sorted((keys_of(account, each)[1], each) for each in decoded if not each.withdrawn)

    def _move(self, account: bytes, touchpoints: Placed) -> None:
        old = self._layers.plan_of(account)
        self._join(Share(self._layers.newest, [], old.versions), account, touchpoints)
        self._count(old, is_there=bool(touchpoints))
        for stem in account_stems(old.code, account):
            for key, _ in self._store.scan(stem):
                self._changes.rows.put((key, None))

    def _join(self, share: Share, account: bytes, touchpoints: Placed) -> None:
        AccountBatch(share, self._store, self._changes).join(account, touchpoints)

    def _count(self, old: Plan, *, is_there: bool) -> None:
        """An account of the old layer is in the newest one now. is_there: whether any touchpoint of it counts."""
        self._changes.account_counts[old.code] -= is_there
        self._changes.account_counts[self._layers.newest.code] += is_there

    # --- one account in pieces

    def _list(self, moving: Moving, listed: bytes) -> LayersRow:
        """Notes the places in time of the next touchpoints; what comes meanwhile is noted as it comes."""
        prefix = touchpoints_prefix(moving.account)
        rows = list(islice(self._store.scan(prefix, listed), self._rows_max))
        for order, _ in self._placed(moving.account, rows):
            self._changes.rows.put((WAITING_PREFIX + order, b""))
        return replace(self._row, moving=replace(moving, listed=rows[-1][0] if len(rows) == self._rows_max else None))

    def _join_piece(self, moving: Moving) -> LayersRow:
        """The next touchpoints in time join."""
        account, old = moving.account, self._layers.plan_of(moving.account)
        found = [key for key, _ in islice(self._store.scan(WAITING_PREFIX), self._touchpoints_max + 1)]
        is_last, waiting = len(found) <= self._touchpoints_max, found[: self._touchpoints_max]
        orders = [key.removeprefix(WAITING_PREFIX) for key in waiting]
        values = self._store.get([touchpoint_key(account, order) for order in orders])
        for key in waiting:
            self._changes.rows.put((key, None))
        touchpoints = self._placed(account, list(zip(waiting, values, strict=True)))
        until = ALL_JOINED if is_last else orders[-1]
        self._join(Share(self._layers.newest, [], old.versions, until), account, touchpoints)
        return replace(self._row, moving=replace(moving, order=until))

    def _add_to_cells(self, moving: Moving) -> LayersRow:
        """What was put aside is added to cells; behind the last of it the account is moved."""
        found = list(islice(self._store.scan(ASIDE_PREFIX), self._rows_max))
        self._changes.cells.take((key.removeprefix(ASIDE_PREFIX), int(change)) for key, change in found)
        for key, _ in found:
            self._changes.rows.put((key, None))
        if len(found) == self._rows_max:
            return self._row
        account, old = moving.account, self._layers.plan_of(moving.account)
        self._count(old, is_there=self._tell(account))
        row = _reached(self._row, account)
        return replace(row, moving=None, debris=[*row.debris, *account_stems(old.code, account)])

    def _tell(self, account: bytes) -> bool:
        """Readers hear of an account that is in another layer now. Whether any touchpoint of it counts."""
        plan = self._layers.newest
        (value,) = self._store.get([container_key(plan.code, account, plan.account.code, b"")])
        row = None if value is None else decode_container(value)
        self._changes.journeys.append((account, journey_of(account, row, plan.account)))
        return value is not None


def swept(row: LayersRow, store: Rows, parts: int = 1) -> tuple[list[Row], list[bytes], LayersRow]:
    """The next rows that nobody needs any more are deleted: the rows, the keys of the cells among them, and the layers
    behind that."""
    stem, *others = row.debris
    most = part_of(SLICE_ROWS, parts)
    keys = [key for key, _ in islice(store.scan(stem), most)]
    row = row if len(keys) == most else replace(row, debris=others)
    return [*((key, None) for key in keys), *layer_rows(row)], [key[1:] for key in keys if key[:1] == b"c"], row


def part_of(usual: int, parts: int) -> int:
    """What one of so many parts of a usual step may have."""
    return max(1, usual // parts)


def _reached(row: LayersRow, account: bytes | None) -> LayersRow:
    """The newest layer has reached an account; older ones that it has overtaken are nobody's."""
    newest, *older = row.reached
    left = [each for each in older if each.account is None or account is None or each.account > account]
    return replace(row, reached=[replace(newest, account=account), *left])
