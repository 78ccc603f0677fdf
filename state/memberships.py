"""Who is in which audience, and what of that is told: the rows behind the topics of audiences.

An audience's lens reports the course of a container's membership (`state.analyses.audiences.lens`), so whatever
changes it, an event or a late one, is heard of here; what it says now is read off the lens' state and the partition's
clock. One row per audience's name and container says what was told last, so that revisions go on whatever version
speaks. The rules:

- Who is in and was not is told to have entered, who is out and was not to have exited, whatever brought it about; of
  who stays in it is told when the attributes that go along are others.
- Where time alone will change it, a timer waits. There is one per container at most, and it may be early: it finds that
  nothing has changed, and waits again. So who comes again and again costs no timer each time.
- Another version carries over whom it finds in; when all accounts are counted with it, those whom only the former
  version had in are out. Those of an audience that is gone are out at once.
- What an account says that moves in pieces waits for a timer that is due when it has moved.
"""

from collections.abc import Container, Iterable, Sequence
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from state.analyses.audiences import AudienceLens, Look
from state.analyses.lens import Cells, State
from state.analyses.together import TogetherLens
from state.claims import Timer
from state.kinds import NAME_BY_CODE
from state.layers import Layers, LayersRow, Leaving
from state.rows import (
    container_key,
    decode_container,
    member_key,
    members_prefix,
    pack,
    parts_of,
    place_of,
    timer_key,
)
from streams.membership import FORMAT, MembershipChange, encode_change, membership_key
from streams.store import Row, Rows

BACK_FILL = "back-fill"
ATTRIBUTES_CHANGED = "attributes changed"
DEFINITION_CHANGED = "the audience is defined otherwise"
AUDIENCE_REMOVED = "the audience was removed"


class Member(msgspec.Struct, array_like=True, frozen=True):
    """A container that was in an audience, or may be. revision: of what was told last, 0 for nothing. since_ms: when
    that came about. version: of the definition that answers for it. answers: to its questions, as bits, when that was
    told. due_ms: of its timer, None without one. attributes: what was told of it last, for as long as it is in."""

    revision: int
    is_in: bool
    since_ms: int
    version: str
    answers: int
    due_ms: int | None
    attributes: dict[str, str]


class _Turn(NamedTuple):
    """A container to be looked at. state: of the audience, None without one. fired: the timer that asks for it."""

    lens: AudienceLens
    at: bytes
    state: State | None
    is_aside: bool
    is_back_fill: bool
    fired: Timer | None = None


decode_member = msgspec.msgpack.Decoder(Member).decode


def next_to_leave(
    row: LayersRow, leaving: Leaving, store: Rows, count_max: int
) -> tuple[list[tuple[bytes, Member]], LayersRow]:
    """The next members that a version brought in, by their places, and the layers behind their leaving."""
    prefix = members_prefix(leaving.audience)
    rows = list(islice(store.scan(prefix, leaving.looked_at), count_max))
    others = [each for each in row.leaving if each != leaving]
    if len(rows) == count_max:
        others.insert(0, Leaving(leaving.audience, leaving.version, rows[-1][0]))
    found = ((key[len(prefix) :], decode_member(value)) for key, value in rows if value is not None)
    mine = [(at, member) for at, member in found if member.version == leaving.version]
    return mine, replace(row, leaving=others)


class Memberships:
    """The memberships of one commit."""

    def __init__(self, layers: Layers, clock_ms: int) -> None:
        self._layers = layers
        self._clock_ms = clock_ms
        self._turns: list[_Turn] = []
        self._due: list[Timer] = []
        self._leaving: list[tuple[str, bytes, Member]] = []

    def report(
        self,
        lens: AudienceLens,
        container: bytes,
        cells: Cells,
        state: State | None,
        silent: Container[str],
        *,
        is_aside: bool,
        is_back_fill: bool,
    ) -> None:
        """What a batch changes of a container's course. silent: versions that were told elsewhere. is_aside: whether
        the account is being moved, and not all of it has. is_back_fill: whether it is the past that is counted."""
        if lens.version in silent or lens.version not in self._layers.in_force or not any(cells.values()):
            return
        self._turns.append(_Turn(lens, place_of(container), state, is_aside, is_back_fill))

    def fire(self, due: Iterable[Timer]) -> None:
        """Looks at what timers wait for."""
        self._due += due

    def leave(self, audience: str, members: Iterable[tuple[bytes, Member]]) -> None:
        """Tells members, by their places, that they are out, for nobody answers for them."""
        self._leaving += ((audience, at, member) for at, member in members)

    def settle(self, rows: list[Row], store: Rows) -> list[Row]:
        """Adds what changes to the rows of the commit; gives the records for `audience-changes`."""
        if not (self._turns or self._due or self._leaving):
            return []  # as for most batches
        judge = _Judge(rows, self._clock_ms)
        self._turns += _fired(self._due, self._layers, rows, store)
        keys = [member_key(each.lens.name, each.at) for each in self._turns]
        for each, found in zip(self._turns, store.get(keys), strict=True):
            judge.turn(each, None if found is None else decode_member(found))
        names = set(self._layers.newest.audience_names.values())
        for audience, at, member in self._leaving:
            judge.leave(audience, at, member, DEFINITION_CHANGED if audience in names else AUDIENCE_REMOVED)
        return judge.records()


def _fired(due: Sequence[Timer], layers: Layers, rows: list[Row], store: Rows) -> list[_Turn]:
    """The containers that timers ask for, as they are in the store; the timers go."""
    rows += ((each.key, None) for each in due)
    placed = [(timer, found) for timer in due if (found := _place_of(timer, layers)) is not None]
    values = store.get([found.container for _, found in placed])
    turns = []
    for (timer, found), value in zip(placed, values, strict=True):
        state = None if value is None else found.state_in(value)
        turns.append(_Turn(found.lens, timer.at, state, is_aside=False, is_back_fill=not timer.due_ms, fired=timer))
    return turns


class _Place(NamedTuple):
    """Where the state of an audience is that a timer asks for: the container's row, and in it."""

    lens: AudienceLens
    container: bytes
    together: TogetherLens
    number: int

    def state_in(self, row: bytes) -> State | None:
        """The state, None without one."""
        return self.together.state_in(decode_container(row).states[self.number], self.lens.version)


def _place_of(timer: Timer, layers: Layers) -> _Place | None:
    """None where the audience is not in force any more, or the account not computed with it."""
    if timer.version not in layers.in_force:
        return None
    account, code, id_ = parts_of(timer.at)
    plan = layers.plan_of(account)
    places = (
        _Place(lens, container_key(plan.code, account, code, id_), kind.together[1], kind.together[0])
        for kind in plan.kinds
        if kind.code == code and kind.together is not None
        for lens in kind.together[1].lenses
        if isinstance(lens, AudienceLens) and lens.version == timer.version
    )
    return next(places, None)


class _Judge:
    """Decides who is in, and what is told."""

    def __init__(self, rows: list[Row], clock_ms: int) -> None:
        self._rows = rows
        self._clock_ms = clock_ms
        self._told: list[MembershipChange] = []

    def turn(self, turn: _Turn, known: Member | None) -> None:
        """Looks at a container. known: what its row says."""
        lens, at = turn.lens, turn.at
        if turn.is_aside:
            self._rows.append((timer_key(0, lens.version, at), b""))
            return
        look = lens.look(turn.state, self._clock_ms)
        due = self._wait(turn, known, look.due_ms)
        was = known or Member(0, False, 0, lens.version, 0, None, {})
        answers = was.answers if was.version == lens.version else look.answers
        now = Member(was.revision, was.is_in, was.since_ms, lens.version, answers, due, was.attributes)
        values = lens.values(turn.state)
        if look.is_in != was.is_in:
            now = self._turned(now, look, values)
        elif look.is_in and values != was.attributes:
            now = replace(now, revision=was.revision + 1, attributes=values)
        if now.revision != was.revision:
            self._tell(lens.name, at, was, now, _why(turn, was, look), values)
        self._keep(lens.name, at, known, now)

    def _turned(self, was: Member, look: Look, values: dict[str, str]) -> Member:
        """Who enters or exits."""
        since = look.since_ms
        if since is None or (was.is_in and since <= was.since_ms):
            since = self._clock_ms  # a correction: it never was in
        return replace(
            was,
            revision=was.revision + 1,
            is_in=look.is_in,
            since_ms=since,
            answers=look.answers,
            attributes=values if look.is_in else {},
        )

    def leave(self, audience: str, at: bytes, was: Member, reason: str) -> None:
        """Tells a member that it is out."""
        if was.due_ms is not None:
            self._rows.append((timer_key(was.due_ms, was.version, at), None))
        now = replace(was, due_ms=None)
        if was.is_in:
            now = replace(now, revision=was.revision + 1, is_in=False, since_ms=self._clock_ms, attributes={})
            self._tell(audience, at, was, now, reason, {})
        self._keep(audience, at, was, now)

    def _wait(self, turn: _Turn, known: Member | None, due_ms: int | None) -> int | None:
        """Sets the timer of a container to when it is due, or leaves one that is earlier; gives when it fires."""
        armed = None if known is None else known.due_ms
        if known is not None and armed is not None and known.version != turn.lens.version:
            self._rows.append((timer_key(armed, known.version, turn.at), None))
            armed = None
        if turn.fired is not None and armed == turn.fired.due_ms:
            armed = None  # it is gone
        if armed is not None and due_ms is not None and armed <= due_ms:
            return armed
        if armed is not None:
            self._rows.append((timer_key(armed, turn.lens.version, turn.at), None))
        if due_ms is not None:
            self._rows.append((timer_key(due_ms, turn.lens.version, turn.at), b""))
        return due_ms

    def _keep(self, audience: str, at: bytes, known: Member | None, now: Member) -> None:
        """Writes the row where it changes; there is none of who was never in and waits for nothing."""
        kept = now if now.revision or now.due_ms is not None else None
        if kept != known:
            self._rows.append((member_key(audience, at), None if kept is None else pack(kept)))

    def _tell(self, audience: str, at: bytes, was: Member, now: Member, reason: str, values: dict[str, str]) -> None:
        """values: its attributes by its series; who leaves brings those along, too, that are not known any more."""
        account, code, id_ = parts_of(at)
        stays = was.is_in and now.is_in
        former = [was.attributes] if was.is_in and was.attributes else []
        self._told.append(
            MembershipChange(
                format=FORMAT,
                id=change_id(audience, at, now.revision),
                revision=now.revision,
                change="changed" if stays else "entered" if now.is_in else "exited",
                audience=audience,
                version=now.version,
                kind=NAME_BY_CODE[code],
                account=account.decode(),
                container=id_.decode() or None,
                reason=reason,
                attributes=now.attributes if now.is_in else was.attributes | values,
                happened_ms=self._clock_ms if stays else now.since_ms,
                known_ms=self._clock_ms,
                since_ms=now.since_ms,
                former_attributes=former,
            )
        )

    def records(self) -> list[Row]:
        """The records of the topic: what happened first is first."""
        self._told.sort(key=lambda each: (each.happened_ms, each.id))
        return [(membership_key(each), encode_change(each)) for each in self._told]


def _why(turn: _Turn, was: Member, look: Look) -> str:
    """Why something is told, in words."""
    is_mine = was.version == turn.lens.version
    if was.is_in and not is_mine:
        reason = DEFINITION_CHANGED
    elif was.is_in and look.is_in:
        reason = ATTRIBUTES_CHANGED
    else:
        reason = turn.lens.reason(was.answers if is_mine and was.revision else None, look.answers)
    return f"{BACK_FILL}: {reason}" if turn.is_back_fill else reason


def change_id(audience: str, at: bytes, revision: int) -> str:
    """32 hex digits, the same for ever."""
    return blake2b(b"%b\0%b\0%d" % (audience.encode(), at, revision), digest_size=16).hexdigest()
