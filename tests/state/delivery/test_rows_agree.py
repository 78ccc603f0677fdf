"""Whatever comes, is ordered and is answered, the rows of a partition agree with each other."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from state.delivery.outbox import Outbox
from state.delivery.retries import Dead, Delivered, Later
from state.delivery.rows import (
    BY_TIME,
    CLOSED,
    DEFERRED,
    DESTINATION,
    PLACE,
    WAITING,
    by_time_key,
    decode_closed,
    decode_delivery,
    decode_destination,
)
from streams.delivery import Acknowledge, Pause, Resume, Retry
from tests.agents.delivery.worlds import AT_MS, alert, change
from tests.state.delivery.worlds import ALL, HOOK, Partition

HOUR_MS = 3_600_000
PLAIN = {**ALL, "cool_down_s": 7_200}
ROUTES: list[dict[str, Any]] = [
    PLAIN,
    {**PLAIN, "quiet": {"begin": "00:00", "end": "05:00"}, "escalate": {"after_s": 3_600, "to": ["boss"]}},
    {**ALL, "digest": {"at": ["03:00", "09:00"]}},
    {**ALL, "name": "other", "corrections": False},
]
MESSAGES = [
    *(alert(account, number, revision) for account in "AB" for number in (0, 1) for revision in (1, 2, 3, 4)),
    *(change(account, revision) for account in "AB" for revision in (1, 2, 3, 4)),
]
STEPS = st.lists(
    st.one_of(
        st.lists(st.sampled_from(MESSAGES), min_size=3, max_size=6),
        st.tuples(st.just("answer"), st.integers(0, 5), st.sampled_from(["done", "later", "dead", "gone"])),
        st.tuples(st.just("retry"), st.integers(0, 9)),
        st.tuples(st.just("order"), st.sampled_from([Pause("hook"), Resume("hook"), Acknowledge("A-0")])),
        st.tuples(st.just("route"), st.integers(0, 3)),
        st.tuples(st.just("pass"), st.sampled_from([1, HOUR_MS, 5 * HOUR_MS])),
        st.tuples(st.just("forget"), st.integers(0, 9)),
    ),
    min_size=5,
    max_size=30,
)


@given(STEPS, st.integers(1, 3), st.integers(0, 3), st.integers(0, 3))
def test_rows_agree(steps: list[Any], waiting_max: int, coalesce_above: int, route: int) -> None:
    """A place for each that is not done with, a time for each that is, and as many wait as are counted."""
    limits = {"waiting_max": waiting_max, "coalesce_above": coalesce_above}
    destinations = {"hook": {**HOOK, **limits}, "boss": {**HOOK, **limits}}
    partition = Partition(destinations, [ROUTES[route]])
    for step in steps:
        _do(partition, step, destinations)
        _require_agreement(partition)


def _do(partition: Partition, step: Any, destinations: dict[str, Any]) -> None:
    match step:
        case ("answer", int(number), str(result)):
            if waiting := partition.waiting():
                verdicts = {"done": Delivered(), "later": Later(AT_MS, "HTTP 500"), "dead": Dead("HTTP 400")}
                partition.answer(waiting[number % len(waiting)], verdicts.get(result, Dead("HTTP 410", is_gone=True)))
        case ("retry", int(number)):
            if partition.status:
                partition.order(Retry(sorted(partition.status)[number % len(partition.status)]))
        case ("order", order):
            partition.order(order)
        case ("route", int(number)):
            partition.configure(destinations, [ROUTES[number]])
        case ("pass", int(ms)):
            partition.pass_time(ms)
        case ("forget", int(count)):
            now_ms = partition.now_ms

            def forget(outbox: Outbox) -> bool:
                return outbox.forget(now_ms, count)

            partition.step(forget)
        case messages:
            for message in messages:
                partition.take(message)


def _require_agreement(partition: Partition) -> None:
    rows = partition.rows
    keys = {decode_delivery(value).id: key for prefix in (WAITING, DEFERRED) for key, value in rows.scan(prefix)}
    assert {key[1:].decode(): place for key, place in rows.scan(PLACE)} == keys
    closed = {key[1:].decode(): decode_closed(value) for key, value in rows.scan(CLOSED)}
    assert {key for key, _ in rows.scan(BY_TIME)} == {by_time_key(each.closed_ms, id_) for id_, each in closed.items()}
    assert not keys.keys() & closed.keys()
    assert {id_: each.state for id_, each in partition.status.items()} == (
        {id_: "waiting" if key.startswith(WAITING) else "deferred" for id_, key in keys.items()}
        | {id_: each.state for id_, each in closed.items()}
    )
    counted = {key[1:].decode(): decode_destination(value).waiting_count for key, value in rows.scan(DESTINATION)}
    waiting = Counter(decode_delivery(value).destination for _, value in rows.scan(WAITING))
    assert {name: count for name, count in counted.items() if count} == dict(waiting)
