"""The small pure parts: times, limits, verdicts, queues, rows in memory, configuration, templates."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from state.delivery.clock import digest_due, quiet_until
from state.delivery.configuration import WEEKDAYS, DeliveryFile, Digest, Quiet, Route
from state.delivery.formats.template import BODY_CHARACTERS_MAX, TemplateProblemError, rendered
from state.delivery.limits import FAILURES_MAX, Breaker, Rate
from state.delivery.memory import RowMemory
from state.delivery.message import message_of
from state.delivery.outbox import subjects_of_changes
from state.delivery.queue import Queue, Waiting
from state.delivery.retries import (
    BACKOFF_MS_MAX,
    RETRY_AFTER_MS_MAX,
    Answer,
    Dead,
    Delivered,
    Later,
    backoff_ms,
    verdict_of,
)
from state.delivery.routing import way_of
from state.matches import BEING_WRITTEN
from tests.agents.delivery.worlds import AT_MS, alert, change
from tests.state.delivery.worlds import ALL, HOOK, Partition
from tests.state.memory_store import MemoryStore

BERLIN = "Europe/Berlin"
MESSAGE = message_of(alert("A"))


def ms(text: str, zone: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-27T21:59:59", None),
        ("2026-03-27T22:00:00", "2026-03-28T07:00:00"),
        ("2026-03-28T06:59:59", "2026-03-28T07:00:00"),
        ("2026-03-28T07:00:00", None),
        ("2026-03-28T23:00:00", "2026-03-29T07:00:00"),  # the night in which the clock goes forward
        ("2026-10-24T23:00:00", "2026-10-25T07:00:00"),  # and back
    ],
)
def test_quiet_hours_over_midnight(at: str, until: str | None) -> None:
    """In the zone's own time, also when it changes."""
    quiet = Quiet(begin="22:00", end="07:00", zone=BERLIN)
    assert quiet_until(quiet, ms(at)) == (None if until is None else ms(until))


def test_quiet_hours_on_some_days() -> None:
    """A day's hours begin on it, also when they end on the next."""
    quiet = Quiet(begin="18:00", end="08:00", zone=BERLIN, days=["friday"])
    assert quiet_until(quiet, ms("2026-03-27T20:00")) == ms("2026-03-28T08:00")  # a Friday
    assert quiet_until(quiet, ms("2026-03-28T07:00")) == ms("2026-03-28T08:00")
    assert quiet_until(quiet, ms("2026-03-28T20:00")) is None


def test_quiet_days_that_touch_are_one() -> None:
    """What comes in the first waits for the end of the last; a digest keeps quiet too, and comes behind them."""
    days = {"begin": "00:00", "end": "00:00", "zone": BERLIN, "days": ["saturday", "sunday"]}
    monday = ms("2026-03-30T00:00")
    for digest, sooner in ((None, "2026-03-27T23:59"), ({"at": ["12:00"], "zone": BERLIN}, "2026-03-27T12:00")):
        route = Route.model_validate({**ALL, "name": "weekdays", "to": ["hook"], "quiet": days, "digest": digest})
        for at in ("2026-03-28T00:00", "2026-03-28T11:00", "2026-03-29T11:59"):
            assert way_of(MESSAGE, "hook", route, ms(at)).due_ms == monday
        before = ms("2026-03-27T11:59") if digest else ms(sooner)
        assert way_of(MESSAGE, "hook", route, before).due_ms == ms(sooner)


def test_hours_that_never_end_are_refused() -> None:
    """Nothing would ever be sent."""
    for days in ([], list(WEEKDAYS)):
        with pytest.raises(ValidationError, match="never end"):
            Quiet.model_validate({"begin": "08:00", "end": "08:00", "days": days}, context=BEING_WRITTEN)
    Quiet.model_validate({"begin": "08:00", "end": "08:00", "days": ["sunday"]}, context=BEING_WRITTEN)


def test_what_is_in_force_is_read_although_a_rule_came_later() -> None:
    """Else no worker would start on it, and no file could take its place. Hours that never end hold for a week."""
    always = {"begin": "08:00", "end": "08:00"}
    hook = {**HOOK, "url": "https://example.com:70000", "content_type": "a\nb"}
    stored = {"version": 1, "destinations": {"hook": hook}, "routes": [{**ALL, "quiet": always}]}
    (route,) = DeliveryFile.model_validate(stored).routes
    assert way_of(MESSAGE, "hook", route, AT_MS).due_ms - AT_MS < 8 * 86_400_000
    with pytest.raises(ValidationError, match="3 validation errors"):
        DeliveryFile.model_validate(stored, context=BEING_WRITTEN)


def test_a_digest_is_due_at_the_next_of_its_times() -> None:
    """Never at the instant itself."""
    digest = Digest(at=["17:00", "08:00"], zone=BERLIN)
    assert digest_due(digest, ms("2026-03-28T08:00")) == ms("2026-03-28T17:00")
    assert digest_due(digest, ms("2026-03-28T17:00")) == ms("2026-03-29T08:00")
    assert digest_due(digest, ms("2026-03-28T07:59")) == ms("2026-03-28T08:00")


@given(st.integers(1, 100), st.floats(0, 0.999))
def test_waits_double_up_to_a_bound(attempts: int, chance: float) -> None:
    """Each lies in the upper half of what is allowed."""
    longest = min(BACKOFF_MS_MAX, 1000 * 2 ** (attempts - 1))
    assert longest // 2 <= backoff_ms(attempts, chance) <= longest


def test_what_answers_mean() -> None:
    """Retry-After is honoured up to a day, and a delivery is given up in time."""
    partition = Partition({"hook": HOOK}, [ALL])
    partition.take(alert("Acme"))
    (delivery,) = partition.waiting()

    def verdict(answer: Answer, after_ms: int = 0, resumed_ms: int = 0) -> Any:
        return verdict_of(answer, delivery, AT_MS + after_ms, 0.5, 60_000, resumed_ms)

    assert verdict(Answer("done")) == Delivered()
    assert verdict(Answer("refused", "HTTP 404")) == Dead("HTTP 404")
    assert verdict(Answer("gone", "HTTP 410")) == Dead("HTTP 410", is_gone=True)
    assert verdict(Answer("later", "HTTP 500")) == Later(AT_MS + 750, "HTTP 500")
    assert verdict(Answer("later", "HTTP 429", 7_000)) == Later(AT_MS + 7_000, "HTTP 429")
    assert verdict(Answer("later", "HTTP 429", 10**12)) == Later(AT_MS + RETRY_AFTER_MS_MAX, "HTTP 429")
    assert verdict(Answer("later", "HTTP 500"), 60_000) == Dead("given up after 1 tries: HTTP 500")
    assert verdict(Answer("later", "HTTP 500"), 60_000, AT_MS + 1) == Later(AT_MS + 60_750, "HTTP 500")


def test_a_breaker_opens_tries_one_and_closes() -> None:
    """It opens for longer each time that the one fails."""
    breaker = Breaker()
    for _ in range(FAILURES_MAX - 1):
        breaker = breaker.failed(0, 0)
        assert breaker.may_send(0, 5)
    breaker = breaker.failed(0, 0)
    assert not breaker.may_send(499, 0)
    assert breaker.failed(100, 0).open_until_ms == 500  # it was under way when the breaker opened
    assert breaker.may_send(500, 0)
    assert not breaker.may_send(500, 1)
    assert breaker.failed(500, 0).open_until_ms == 1_500
    assert breaker.succeeded() == Breaker()
    assert Breaker().held(9).may_send(8, 0) is False


def test_a_receiver_that_asks_for_time_has_it_whatever_else_it_answers() -> None:
    """Requests that were under way when it asked come to succeed or to fail behind that."""
    held = Breaker().failed(0, 0).held(90_000)
    assert held.held(60_000) == held
    for breaker in (held.succeeded(), held.failed(0, 0), held.succeeded().succeeded()):
        assert not breaker.may_send(89_999, 0)
        assert breaker.kept_back_until_ms == 90_000
        assert breaker.may_send(90_000, 5)
    opened = held.failed(0, 0).failed(0, 0).failed(0, 0).failed(0, 0)
    assert (opened.open_until_ms, opened.kept_back_until_ms, opened.is_closed) == (500, 90_000, False)


def test_a_rate_is_kept() -> None:
    """At most one second's worth at once, then as it fills; a slow one a single one. Without a rate nothing waits."""
    assert Rate(None).taken(0).wait_ms(0) == 0
    for per_s, at_once in ((3.0, 3), (0.5, 1)):
        rate, taken = Rate(per_s, at_ms=0), []
        for now_ms in range(0, 20_000, 50):
            while rate.wait_ms(now_ms) == 0:
                taken.append(now_ms)
                rate = rate.taken(now_ms)
        for begin in range(0, 19_000, 250):
            assert sum(begin <= at < begin + 1_000 for at in taken) <= per_s + at_once
        assert len(taken) == pytest.approx(per_s * 20, abs=3)


def test_a_lane_gives_one_after_the_other() -> None:
    """What failed comes again before what lies behind it; several may be taken and finished together."""
    queue = Queue()
    for number in range(4):
        queue.add("lane", Waiting(b"%d" % number, 0))
    assert queue.next_due_ms() == 0
    assert queue.take(0, 2) == ("lane", [b"0", b"1"])
    assert (queue.take(0), queue.under_way_count, queue.count, queue.next_due_ms()) == (None, 1, 4, None)
    assert queue.fresh_count == 1
    queue.finish("lane", [None, 7])
    assert (queue.take(6), queue.fresh_count) == (None, 0)
    assert queue.take(7) == ("lane", [b"1"])
    queue.finish("lane", [None])
    assert queue.fresh_count == 1
    assert queue.take(7, 9) == ("lane", [b"2", b"3"])
    queue.finish("lane", [None, None])
    assert (queue.count, queue.loaded_behind) == (0, b"3")


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.none() | st.binary(max_size=1)), max_size=30))
def test_rows_in_memory_are_those_of_a_store(rows: list[tuple[bytes, bytes | None]]) -> None:
    """It answers as the other implementation does."""
    memory, store = RowMemory(), MemoryStore()
    memory.apply(rows)
    store.apply(rows)
    keys = [b"", b"\0", b"a", *(key for key, _ in rows)]
    assert memory.get(keys) == store.get(keys)
    for prefix in (b"", b"a", b"\0"):
        for key in keys:
            assert list(memory.scan(prefix, key)) == list(store.scan(prefix, key))


@pytest.mark.parametrize(
    ("destinations", "routes", "said"),
    [
        ({"hook": {"kind": "webhook"}}, [], "url or url_secret is given"),
        ({"hook": {"kind": "webhook", "url": "ftp://example.com"}}, [], "no web address"),
        ({"hook": {"kind": "webhook", "url": "https://me:word@example.com"}}, [], "no user or password"),
        ({"hook": {"kind": "webhook", "url": "https://example.com:65536"}}, [], "no web address"),
        ({"hook": {**HOOK, "content_type": "text/plain\r\nX: y"}}, [], "one line"),
        ({"hook": {**HOOK, "headers": {"Webhook-Id": "1"}}}, [], "is set by milepost"),
        ({"hook": {**HOOK, "headers": {"X Y": "1"}}}, [], "no name of a header"),
        ({"hook": {**HOOK, "headers": {"X-Y": "1\r\nHost: z"}}}, [], "one line"),
        ({"hook": {**HOOK, "template": "{{ oops"}}, [], "no Jinja template"),
        ({"files": {"kind": "folder", "folder": "../etc"}}, [], "should match pattern"),
        ({"hook": HOOK}, [{"name": "r", "to": ["hook"]}], "milestones, tiers or audiences"),
        ({"hook": HOOK}, [ALL, ALL], "several routes are called 'all'"),
        ({"hook": HOOK}, [{**ALL, "to": ["hoook"]}], "leads to 'hoook'"),
        ({"hook": HOOK}, [{**ALL, "escalate": {"after_s": 1, "to": ["boss"]}}], "leads to 'boss'"),
        ({"hook": HOOK}, [{**ALL, "quiet": {"begin": "22:00", "end": "7", "zone": "UTC"}}], "should match pattern"),
        ({"hook": HOOK}, [{**ALL, "quiet": {"begin": "22:00", "end": "07:00", "zone": "Mars"}}], "no IANA time zone"),
        ({"hook": {**HOOK, "secret": "abc"}}, [], "Extra inputs"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(destinations: Any, routes: Any, said: str) -> None:
    """Before anything is published."""
    with pytest.raises(ValidationError, match=said):
        DeliveryFile.model_validate(
            {"version": 1, "destinations": destinations, "routes": routes}, context=BEING_WRITTEN
        )


def test_a_webhook_may_have_headers_and_a_body_of_its_own() -> None:
    """In the clear, so they are no place for a secret."""
    hook = {**HOOK, "headers": {"X-Api-Version": "2026-01"}, "template": "{{ id }}"}
    file = DeliveryFile.model_validate({"version": 1, "destinations": {"hook": hook}, "routes": []})
    assert file.destinations["hook"].headers == {"X-Api-Version": "2026-01"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ missing }}",
        "{{ 1 / 0 }}",
        "{{ 1 + 'a' }}",
        "{{ oops",
        "{{ " + "9" * 5_000 + " }}",
        "{% for n in range('x') %}{% endfor %}",
        "{% for n in range(0, 9, 0) %}{% endfor %}",
        "{{ data.who | center(1000000000) }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ data.update({'a': 1}) }}",
        "{% set a = 'x' %}{{ a }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% include 'passwd' %}",
        "{% for n in range(10 ** 9) %}x{% endfor %}",
        "{% for n in range(101) %}x{% endfor %}",
        "{% for n in 'constant' %}x{% endfor %}",
        "{% for n in data recursive %}x{% endfor %}",
        "{% for a in data %}{% for b in data %}{% for c in data %}x{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in range(100) %}{% for b in range(100) %}" + "x" * 30 + "{% endfor %}{% endfor %}",
        "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    ],
)
def test_a_template_does_what_it_may(text: str) -> None:
    """It reaches nothing but the message, changes nothing, and ends soon, with little memory."""
    with pytest.raises(TemplateProblemError):
        rendered(text, {"data": {"who": "Acme"}})


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in data %}{% for b in data %}{% if data | tojson == a %}x{% endif %}{% endfor %}{% endfor %}",
        "{{ " + " ~ ".join(["data"] * 5_000) + " }}",
        "{{ " + " + ".join(["data[0].title"] * 40) + " }}",
        "{{ " + " ~ ".join(["(data | tojson)"] * 2_000) + " }}",
        "{% for a in data %}" + "{% if a.title %}{% endif %}" * 2_000 + "{% endfor %}",
        "{% for a in data[0].title %}{% for b in data[0].title %}{% endfor %}{% endfor %}",
    ],
)
def test_a_template_does_no_more_than_a_body_takes(text: str) -> None:
    """Also where nothing of it is in the body, and in one expression: it is done where nothing else is meanwhile."""
    digest = [{"title": "x" * 5_000, "number": number} for number in range(200)]
    with pytest.raises(TemplateProblemError, match=r"does too much"):
        rendered(text, {"data": digest})


def test_a_template_makes_a_body() -> None:
    """With values quoted as JSON where it asks for that."""
    body = rendered('{"Subject": {{ data.title | tojson }}}\n', {"data": {"title": 'She said "yes"'}})
    assert body == '{"Subject": "She said \\"yes\\""}\n'
    looped = "{% for each in data %}{% for n in range(2) %}{{ each }}{{ n }} {% endfor %}{% endfor %}"
    assert rendered(looped, {"data": ["a", "b"]}) == "a0 a1 b0 b1 "
    listed = "{% for each in data if each %}{{ loop.index ~ each }}{% if not loop.last %}, {% endif %}{% endfor %}"
    assert rendered(listed, {"data": ["a", "", "b"]}) == "1a, 2b"
    assert rendered("{{ data + 1 }}{{ missing | default('-') }}{{ more | first }}", {"data": 1, "more": "xy"}) == "2-x"
    assert len(rendered("x" * BODY_CHARACTERS_MAX, {})) == BODY_CHARACTERS_MAX


def test_of_which_members_a_delivery_tells_a_change() -> None:
    """By audience and container, in a digest too; an alert tells of none."""
    partition = Partition({"hook": HOOK}, [{**ALL, "digest": {"at": ["09:00"]}}])
    for each in (alert("A"), change("A"), change("B")):
        partition.take(each)
    assert [sorted(subjects_of_changes(each)) for each in partition.deferred()] == [
        [],
        ["warm\0A\0account\0"],
        ["warm\0B\0account\0"],
    ]
    partition.pass_time(86_400_000)
    (digest,) = partition.waiting()
    assert sorted(subjects_of_changes(digest)) == ["warm\0A\0account\0", "warm\0B\0account\0"]
