"""Which definitions each account of a partition is computed with while they change.

A layer is a layout of rows: the analyses that have a place in the states of containers. When definitions come or go, a
new layer is laid on top, and the accounts move into it one after the other, in the order of their ids (`state.moving`),
while events go on. An account is in exactly one layer: the newest that has reached it. Law: an analysis in force counts
every account whose layer has it, exactly; it is complete when every layer has it. What is not in force counts nowhere.

A version that was replaced stays in force until readers have gone over to the new one everywhere; then its place in
the layout is empty, and no account has to move for that.

One account may be so large that it moves in pieces. While it does, the newest layer has its touchpoints up to an order
key as well, and those behind wait under rows of their own; for readers it is still in the old one. What it is going to
add to cells is put aside until all of it has joined. So up to then the move can be abandoned: what it made is nobody's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from state.audience_set import decode_audience, encode_audience
from state.definition_set import DefinitionSet, decode_definition, encode_definition
from state.groups import TouchpointRecord
from state.milestone_set import decode_milestone, encode_milestone
from state.plan import Plan
from state.rows import (
    ASIDE_PREFIX,
    FIRST_LAYOUT,
    LAYERS_KEY,
    WAITING_PREFIX,
    account_stems,
    account_version_stems,
    behind_places,
    layout_key,
    pack,
    version_stems,
)
from streams.store import Row, Rows

LAYOUT_CODE_MAX = 255  # one byte
PLANS_MAX = 64
ALL_JOINED = b"\xff"
"""Behind every order key."""
Plans = dict[tuple[int, bytes, frozenset[str]], Plan]  # by layout, its row, and what is in force

NONE_SILENT: frozenset[str] = frozenset()
_NO_LAYOUTS: Mapping[int, DefinitionSet] = {}


class Moving(msgspec.Struct, array_like=True, frozen=True):
    """An account that moves in pieces. listed: the key of its last touchpoint row that was looked at, None when all
    were. order: the order key up to which it has joined the newest layer; ALL_JOINED when what it adds to cells is
    being added."""

    account: bytes
    listed: bytes | None
    order: bytes

    @property
    def can_be_abandoned(self) -> bool:
        """Whether no cell of the newest layer has anything of it yet."""
        return self.order != ALL_JOINED


class Reached(msgspec.Struct, array_like=True, frozen=True):
    """A layer: its layout, and the last account that it has reached. The oldest one has reached all, and says None."""

    layout: int
    account: bytes | None


class Leaving(msgspec.Struct, array_like=True, frozen=True):
    """The members that a version of an audience brought in, and that no newer one answers for, are leaving. looked_at:
    the key of the last row that was looked at, empty before the first."""

    audience: str
    version: str
    looked_at: bytes = b""


class LayersRow(msgspec.Struct, array_like=True, frozen=True):
    """All that a partition keeps about its definitions.

    offset: the end of the definitions topic as it was read. hash: of the set. in_force: its versions. reached: the
    layers, the newest first. debris: what the keys of rows begin with that nobody needs any more.
    leaving: audiences that are gone, or changed.
    """

    offset: int
    hash: str
    in_force: list[str]
    reached: list[Reached]
    moving: Moving | None = None
    debris: list[bytes] = []
    leaving: list[Leaving] = []


class Share(NamedTuple):
    """Records of a batch and what they are computed with.

    silent: versions that count these accounts elsewhere. until: see `Groups`; such a share is beside the one that
    counts for readers, and what it adds to cells is put aside.
    """

    plan: Plan
    records: Sequence[TouchpointRecord]
    silent: frozenset[str] = NONE_SILENT
    until: bytes | None = None


class Layers:
    """The layers of a partition, compiled; `row` says how far they have reached."""

    def __init__(self, row: LayersRow, plans: Sequence[Plan]) -> None:
        """plans: of the layers in `row`, in their order."""
        self.row = row
        self.plans = tuple(plans)
        self.in_force = frozenset(row.in_force)
        self._plan_by_layout = {plan.code: plan for plan in plans}

    @classmethod
    def only(cls, plan: Plan, hash_: str = "", offset: int = -1) -> "Layers":
        """Everything in one layer."""
        return cls(LayersRow(offset, hash_, sorted(plan.versions), [Reached(plan.code, None)]), [plan])

    @property
    def newest(self) -> Plan:
        """The plan that accounts move to, or are in."""
        return self.plans[0]

    def plan_of(self, account: bytes) -> Plan:
        """What the account is computed with."""
        if len(self.plans) == 1:  # most of the time, and every journey asks
            return self.newest
        layers = zip(self.plans, self.row.reached, strict=True)
        return next(plan for plan, reached in layers if reached.account is None or account <= reached.account)

    def audiences_of(self, versions: Sequence[str]) -> list[tuple[str, str]]:
        """The audiences among some versions: (name, version)."""
        names = {version: name for plan in self.plans for version, name in plan.audience_names.items()}
        return [(names[version], version) for version in versions if version in names]

    def is_audience(self, version: str) -> bool:
        """Whether a version in any layer is an audience's."""
        return any(version in plan.audience_names for plan in self.plans)

    def reaches(self) -> Iterator[tuple[Plan, bytes | None]]:
        """The layers in the order of the accounts that are in them: each with the last place (`rows.place_of`) that may
        be in it, None in the last layer."""
        for plan, reached in zip(self.plans, self.row.reached, strict=True):
            yield plan, None if reached.account is None else behind_places(reached.account)

    def plan_with(self, layout: int) -> Plan:
        """The plan with this layout."""
        return self._plan_by_layout[layout]

    def shares(self, records: Sequence[TouchpointRecord]) -> list[Share]:
        """The records by what they are computed with, each share in the records' order."""
        if len(self.plans) == 1:
            return [Share(self.newest, records)]
        by_layout: dict[int, list[TouchpointRecord]] = {}
        for record in records:
            by_layout.setdefault(self.plan_of(record.key).code, []).append(record)
        shares = [Share(self._plan_by_layout[layout], mine) for layout, mine in by_layout.items()]
        moving = self.row.moving
        beside = [record for record in records if moving is not None and record.key == moving.account]
        if moving is not None and beside:
            shares.append(Share(self.newest, beside, self.plan_of(moving.account).versions, moving.order))
        return shares

    def has_lost(self, version: str) -> bool:
        """Whether it was in force before: its place in a layout is empty, or its rows are being swept."""
        if version in self.in_force:
            return False
        stems = version_stems(version)
        return any(version in plan.versions for plan in self.plans) or any(each in stems for each in self.row.debris)

    def incomplete(self) -> frozenset[str]:
        """The versions in force that some accounts are not counted with yet."""
        return self.in_force - frozenset.intersection(*(plan.versions for plan in self.plans))


Current = Callable[[], tuple[int, DefinitionSet]]
"""The end of the definitions topic, and the set in force, as far as they are known."""


class LayerReader:
    """Reads the layers of a store; what was compiled for the same rows is kept."""

    def __init__(self, store: Rows, current: Current, plans: Plans | None = None) -> None:
        """plans: where what is compiled is kept."""
        self._store = store
        self._current = current
        self._read: tuple[bytes | None, Layers] | None = None
        self._first_set = DefinitionSet(())
        self._plans: Plans = {} if plans is None else plans

    def layers(self) -> Layers:
        """As the rows say; in a store without them, one layer of the definitions in force, which `first_rows` keeps."""
        (found,) = self._store.get([LAYERS_KEY])
        if self._read is None or self._read[0] != found:
            self._read = (found, self._first() if found is None else self.behind(_decode(found), []))
        return self._read[1]

    def first_rows(self) -> list[Row]:
        """The rows that keep the first layer; none when there are rows already."""
        row = self.layers().row
        assert self._read is not None
        return layer_rows(row, {FIRST_LAYOUT: self._first_set}) if self._read[0] is None else []

    def _first(self) -> Layers:
        offset, definitions = self._current()
        self._first_set = definitions  # another may be in force when the rows are written
        in_force = [*definitions.newest_versions, *(each.version for each in definitions.replaced)]
        told = definitions.milestones, definitions.audiences
        plan = Plan(definitions.definitions, definitions.replaced, in_force, FIRST_LAYOUT, *told)
        return Layers.only(plan, definitions.hash, offset)

    def behind(self, row: LayersRow, rows: Sequence[Row]) -> Layers:
        """As they are behind a commit of `rows`, which says `row`."""
        written = dict(rows)
        keys = [layout_key(reached.layout) for reached in row.reached]
        values = [written.get(key) or stored for key, stored in zip(keys, self._store.get(keys), strict=True)]
        in_force = frozenset(row.in_force)
        return Layers(row, [self._plan(each.layout, v, in_force) for each, v in zip(row.reached, values, strict=True)])

    def _plan(self, layout: int, value: bytes | None, in_force: frozenset[str]) -> Plan:
        """Compiled once for as long as accounts move."""
        assert value is not None, "a layer's layout is kept as long as the layer"
        wanted = layout, value, in_force
        plan = self._plans.get(wanted)
        if plan is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            found = _decode_layout(value)
            definitions, replaced = (list(map(decode_definition, each)) for each in (found.definitions, found.replaced))
            milestones, audiences = map(decode_milestone, found.milestones), map(decode_audience, found.audiences)
            told = list(milestones), list(audiences)
            plan = self._plans[wanted] = Plan(definitions, replaced, in_force, layout, *told)
        return plan


def layer_rows(
    row: LayersRow, new: Mapping[int, DefinitionSet] = _NO_LAYOUTS, former: LayersRow | None = None
) -> list[Row]:
    """The rows that say `row`, with the layouts that are new, and without those that only the former row had."""
    rows: list[Row] = [(layout_key(code), _encode_layout(each)) for code, each in new.items()]
    if former is not None:
        rows += [(layout_key(code), None) for code in _layouts(former) - _layouts(row)]
    return [*rows, (LAYERS_KEY, pack(row))]


def with_definitions(layers: Layers, offset: int, definitions: DefinitionSet) -> tuple[LayersRow, list[Row]]:
    """The layers with another set in force, and their rows. The move of an account in pieces is abandoned."""
    former = _without_move(layers)
    versions = [each for each in definitions.newest_versions if not layers.has_lost(each)]
    # What readers saw is live already, or it comes too late.
    versions += [each.version for each in definitions.replaced if each.version in former.in_force]
    gone = sorted(set(former.in_force) - set(versions))
    debris = [*former.debris, *(stem for version in gone for stem in version_stems(version))]
    leaving = [*former.leaving, *(Leaving(*each) for each in layers.audiences_of(gone))]
    row = replace(former, offset=offset, hash=definitions.hash, in_force=versions, debris=debris, leaving=leaving)
    if set(definitions.newest_versions) == layers.newest.current:
        return row, layer_rows(row)
    layout = _free_layout(row)
    reached = [Reached(layout, b""), *(each for each in row.reached if each.account != b"")]
    row = replace(row, reached=reached)
    return row, layer_rows(row, {layout: definitions}, former)


def _without_move(layers: Layers) -> LayersRow:
    """The account that moves in pieces stays in its layer; what its move made in the newest one is swept."""
    moving, newest = layers.row.moving, layers.newest
    if moving is None:
        return layers.row
    assert moving.can_be_abandoned, "cells of the newest layer would keep a part of the account"
    made = [WAITING_PREFIX, ASIDE_PREFIX, *account_stems(newest.code, moving.account)]
    versions = sorted(newest.versions - layers.plan_of(moving.account).versions)
    made += [prefix for version in versions for prefix in account_version_stems(moving.account, version)]
    return replace(layers.row, moving=None, debris=[*layers.row.debris, *made])


def layout_bytes(definitions: DefinitionSet) -> int:
    """How many bytes a partition's row of these definitions takes, which is one record of a commit."""
    return len(_encode_layout(definitions))


class _Layout(msgspec.Struct, array_like=True, frozen=True):
    """The row of a layout: its definitions, encoded."""

    definitions: list[bytes]
    replaced: list[bytes]
    milestones: list[bytes] = []
    audiences: list[bytes] = []


def _encode_layout(definitions: DefinitionSet) -> bytes:
    newest, replaced = (list(map(encode_definition, each)) for each in (definitions.definitions, definitions.replaced))
    told = list(map(encode_milestone, definitions.milestones)), list(map(encode_audience, definitions.audiences))
    return pack(_Layout(newest, replaced, *told))


def _layouts(row: LayersRow) -> set[int]:
    return {each.layout for each in row.reached}


def _free_layout(row: LayersRow) -> int:
    """A code that no row of another layout, or of one that is being swept, has in its key."""
    taken = _layouts(row) | {stem[1] for stem in row.debris if stem[:1] in (b"k", b"s")}
    return next(code for code in range(FIRST_LAYOUT, LAYOUT_CODE_MAX + 1) if code not in taken)


_decode = msgspec.msgpack.Decoder(LayersRow).decode
_decode_layout = msgspec.msgpack.Decoder(_Layout).decode
