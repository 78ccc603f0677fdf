"""The job, and the events on which it is done.

Per account: how many events it had, how far it has come in STEPS (the next one counts when it comes, others do not),
the type of its last event, and how often a type followed another. An event's key is its account. The output has the
account as key and its newest state as value; a state between two others may be left out.

Every contender in Python uses what is here, so that they differ in nothing but their engines; so this file needs
nothing that one of them does not have.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Self

import msgspec

STEPS = (
    "Page Viewed",
    "Content Downloaded",
    "Webinar Attended",
    "Lead Form Submitted",
    "Meeting Held",
    "Opportunity Created",
    "Closed Won",
)
TYPES = (*STEPS, "Email Opened")
PARTITIONS = 4
VISIBLE_S = 1.0
"""Whoever shows results only when it commits commits this often."""

START_MS, STEP_MS = 1_700_000_000_000, 50


class Event(msgspec.Struct):
    """What the job reads of an event; the rest of its JSON is skipped."""

    type: str


class State(msgspec.Struct):
    """An account's."""

    count: int = 0
    step: int = 0
    last: str | None = None
    transitions: dict[str, int] = {}


decode_event = msgspec.json.Decoder(Event).decode
decode_state = msgspec.json.Decoder(State).decode
encode_state = msgspec.json.Encoder().encode


def advance(state: State, type_: str) -> None:
    """One event more, in its account's order."""
    if state.last is not None:
        transition = f"{state.last}>{type_}"
        state.transitions[transition] = state.transitions.get(transition, 0) + 1
    if state.step < len(STEPS) and type_ == STEPS[state.step]:
        state.step += 1
    state.count += 1
    state.last = type_


def state_behind(stored: bytes | None, events: Sequence[bytes]) -> bytes:
    """The state as JSON after some events of one account, from what was stored before."""
    state = State() if stored is None else decode_state(stored)
    for event in events:
        advance(state, decode_event(event).type)
    return encode_state(state)


def generated(events: int, accounts: int) -> Iterator[tuple[bytes, bytes]]:
    """(account, event) in the order of their time; always the same. An event has about 160 bytes."""
    chance, encode = random.Random(7), msgspec.json.Encoder().encode
    for number in range(events):
        account = chance.randrange(accounts)
        event = {
            "id": f"e{number:09d}",
            "account": f"account-{account}",
            "type": chance.choice(TYPES),
            "time": START_MS + number * STEP_MS,
            "campaign": f"campaign-{chance.randrange(40)}",
            "channel": "email",
            "person": f"p{account}-{chance.randrange(6)}@example.com",
        }
        yield b"account-%d" % account, encode(event)


class Place(msgspec.Struct, frozen=True):
    """Where a contender works. name: of this run, for groups and topics of its own. folder: for its files."""

    bootstrap: str
    source: str
    output: str
    name: str
    folder: str

    def arguments(self) -> list[str]:
        """As the first arguments of a program."""
        return list(msgspec.structs.astuple(self))

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Self:
        """From a program's arguments, of which there may be more."""
        return cls(*arguments[: len(cls.__struct_fields__)])
