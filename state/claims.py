"""What of the claims that milestones make is told, and what was: the rows behind the topic `milestones`.

A claim is what a milestone's lens reports (`state.analyses.milestones.lens`). A batch reports the claims that came and
those that went; what was told of them stands in a row of the milestone's name, so that revisions go on whatever version
of its definition speaks. The rules:

- What came is told when it happened no earlier than the definition's alerts begin; what is told already, or happened
  before, is not. A version that finds told what it claims itself answers for it from then on.
- What went, or moved, is told where this version told it. So a silent claim goes in silence.
- What is not true yet, by the partition's clock, waits in a row of its own with a timer, and is judged when that is
  due. So does what an account claims that moves in pieces, until all of it has moved.
"""

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import msgspec

from state.alerting import Alerting, Claim
from state.analyses.lens import Cells
from state.analyses.milestones.lens import MilestoneLens
from state.layers import Layers
from state.rows import TIMERS_PREFIX, claim_key, layout_of, pack, parts_of, place_of, said_key, timer_key, timer_of
from streams.store import Row, Rows


class Said(msgspec.Struct, array_like=True, frozen=True):
    """What was told last of an episode, and by which version of the milestone's definition."""

    revision: int
    is_asserted: bool
    happened_ms: int
    version: str


class Timer(NamedTuple):
    """A row of a timer: its key, when it is due, of which version, the container's place 0 the episode."""

    key: bytes
    due_ms: int
    version: str
    at: bytes

    @property
    def account(self) -> bytes:
        """Whose it is."""
        return self.at[: self.at.index(b"\0")]


class _Turn(NamedTuple):
    """What became of one episode in a batch: the claim that went and the one that came."""

    lens: MilestoneLens
    layout: int
    at: bytes
    went: Claim | None
    came: Claim | None
    is_aside: bool


decode_said = msgspec.msgpack.Decoder(Said).decode
_decode_claim = msgspec.msgpack.Decoder(Claim).decode


def timers(layers: Layers, store: Rows) -> Iterator[Timer]:
    """The timers of a partition, the first that is due first; without those of an account that is being moved."""
    moving = layers.row.moving
    for key, _ in store.scan(TIMERS_PREFIX):
        timer = Timer(key, *timer_of(key))
        if moving is None or timer.account != moving.account:
            yield timer


class Claims:
    """The claims of one commit: what changes of them is reported, then settled together."""

    def __init__(self, layers: Layers, clock_ms: int) -> None:
        self._layers = layers
        self._clock_ms = clock_ms
        self._turns: list[_Turn] = []
        self._due: list[Timer] = []

    def report(
        self, lens: MilestoneLens, container: bytes, cells: Cells, silent: Container[str], *, is_aside: bool
    ) -> None:
        """What a batch changes of a container's claims. silent: versions that were told elsewhere. is_aside: whether
        the account is being moved, and not all of it has."""
        if lens.version in silent or lens.version not in self._layers.in_force:
            return
        went: dict[str | None, Claim] = {}
        came: dict[str | None, Claim] = {}
        for (episode, *claimed), change in cells.items():
            if change:
                (came if change > 0 else went)[episode] = Claim(*claimed)
        place, layout = place_of(container), layout_of(container)
        for episode in {**went, **came}:
            at = b"%b\0%b" % (place, (episode or "").encode())
            self._turns.append(_Turn(lens, layout, at, went.get(episode), came.get(episode), is_aside))

    def fire(self, due: Sequence[Timer]) -> None:
        """Judges what timers wait for."""
        self._due += due

    def settle(self, rows: list[Row], store: Rows) -> list[Row]:
        """Adds what changes to the rows of the commit, which are on top of the store; gives the alerts, by their ids,
        as they are published, in the order in which things happened."""
        if not self._turns and not self._due:
            return []
        judge = _Judge(rows, store, Alerting(self._layers, rows, store, self._clock_ms))
        judge.turn(self._turns, self._clock_ms)
        judge.fire(self._due, self._layers)
        return judge.alerting.records()


class _Judge:
    """Decides what is told."""

    def __init__(self, rows: list[Row], store: Rows, alerting: Alerting) -> None:
        self._rows = rows
        self._store = store
        self.alerting = alerting

    def turn(self, turns: Sequence[_Turn], clock_ms: int) -> None:
        """Judges what a batch changed."""
        keys = [
            key for each in turns for key in (said_key(each.lens.name, each.at), claim_key(each.lens.version, each.at))
        ]
        found = self._store.get(keys)
        for each, told, kept in zip(turns, found[::2], found[1::2], strict=True):
            said = None if told is None else decode_said(told)
            if kept is not None:
                self._drop(each.lens, each.at, _decode_claim(kept))
            if each.came is None or self._must_wait(each, clock_ms):
                self._take_back(each.lens, each.layout, each.at, each.went, said)
                if each.came is not None and (said is not None or _is_told(each.lens, each.came)):
                    self._keep(each.lens, each.at, each.came)
            else:
                self._assert(each.lens, each.layout, each.at, each.came, said)

    def _must_wait(self, turn: _Turn, clock_ms: int) -> bool:
        """Whether what came is not to be judged yet."""
        assert turn.came is not None
        return turn.is_aside or (turn.lens.waits and turn.came.happened_ms > clock_ms)

    def fire(self, due: Sequence[Timer], layers: Layers) -> None:
        """Judges what timers wait for, which may be gone by now."""
        lenses = [_lens_of(layers, each) for each in due]
        keys = [
            key
            for timer, lens in zip(due, lenses, strict=True)
            for key in (said_key("" if lens is None else lens.name, timer.at), claim_key(timer.version, timer.at))
        ]
        found = self._store.get(keys)
        for timer, lens, told, kept in zip(due, lenses, found[::2], found[1::2], strict=True):
            self._rows.append((timer.key, None))
            claim = None if kept is None else _decode_claim(kept)
            if lens is None or claim is None or _due_ms(lens, claim) != timer.due_ms:
                continue
            self._rows.append((claim_key(timer.version, timer.at), None))
            layout = layers.plan_of(timer.account).code
            self._assert(lens, layout, timer.at, claim, None if told is None else decode_said(told))

    # --- what is told

    def _assert(self, lens: MilestoneLens, layout: int, at: bytes, claim: Claim, said: Said | None) -> None:
        is_known = said is not None and said.is_asserted
        if said is not None and is_known and said.happened_ms == claim.happened_ms:
            if said.version != lens.version:
                self._note(lens, at, msgspec.structs.replace(said, version=lens.version))
        elif _is_told(lens, claim) or (said is not None and is_known and said.version == lens.version):
            self._say(lens, layout, at, claim, said, is_asserted=True)

    def _take_back(self, lens: MilestoneLens, layout: int, at: bytes, went: Claim | None, said: Said | None) -> None:
        if went is not None and said is not None and said.is_asserted and said.version == lens.version:
            self._say(lens, layout, at, went, said, is_asserted=False)

    def _say(
        self, lens: MilestoneLens, layout: int, at: bytes, claim: Claim, said: Said | None, *, is_asserted: bool
    ) -> None:
        revision = 1 if said is None else said.revision + 1
        self._note(lens, at, Said(revision, is_asserted, claim.happened_ms, lens.version))
        self.alerting.say(lens, layout, at, claim, revision, is_asserted=is_asserted)

    def _note(self, lens: MilestoneLens, at: bytes, said: Said) -> None:
        self._rows.append((said_key(lens.name, at), pack(said)))

    # --- what waits

    def _keep(self, lens: MilestoneLens, at: bytes, claim: Claim) -> None:
        self._rows.append((claim_key(lens.version, at), pack(claim)))
        self._rows.append((timer_key(_due_ms(lens, claim), lens.version, at), b""))

    def _drop(self, lens: MilestoneLens, at: bytes, claim: Claim) -> None:
        self._rows.append((claim_key(lens.version, at), None))
        self._rows.append((timer_key(_due_ms(lens, claim), lens.version, at), None))


def _is_told(lens: MilestoneLens, claim: Claim) -> bool:
    return claim.happened_ms >= lens.definition.since_ms


def _due_ms(lens: MilestoneLens, claim: Claim) -> int:
    """When a claim that waits is judged: when it is true, or as soon as its account has moved."""
    return claim.happened_ms if lens.waits else 0


def _lens_of(layers: Layers, timer: Timer) -> MilestoneLens | None:
    """The milestone of a timer, where it is still in force and its account is computed with it."""
    if timer.version not in layers.in_force:
        return None
    _, code, _ = parts_of(timer.at)
    together = (kind.together for kind in layers.plan_of(timer.account).kinds if kind.code == code)
    lenses = (lens for each in together if each is not None for lens in each[1].lenses)
    found = (lens for lens in lenses if isinstance(lens, MilestoneLens) and lens.version == timer.version)
    return next(found, None)
