"""The rules of filters one by one, each with a test that is named for it and fails when it is bent."""

from typing import Any

import pytest

from state.analyses.gate import GATE
from state.analyses.segment import SegmentLens
from state.plan import lens_of
from tests.state.cells import cells
from tests.state.test_rules import DAY0, canvas, cohort, flow, is_, series
from tests.state.worlds import DAY, START, definition_set, touchpoint


def has(type_: str, op: str = ">=", number: float = 1, metric: str = "count") -> dict[str, Any]:
    """The filter that the whole series has so many touchpoints of a type, or so much value of them."""
    return {"has": {"match": is_(type_), "metric": metric, "op": op, "number": number}}


def behind(analysis: dict[str, Any], types: str) -> tuple[Any, list[Any]]:
    """The lens, and its state behind these touchpoints."""
    lens = lens_of(definition_set([{"name": "it", **analysis}]).definitions[0])
    state = lens.empty()
    for each in series(types):
        projection = lens.project(each)
        if projection is not None:
            lens.advance(state, each.event_time, projection, {})
    return lens, state


ONE: dict[tuple[Any, ...], int] = {("t", DAY0): 1, ("n", 0, DAY0): 1}


def test_rule_a_container_counts_with_all_that_it_did_before() -> None:
    """It has the property at the last touchpoint, and what came before counts; without it nothing does."""
    assert cells(canvas("A", filter=has("Z")), series("AAB")) == {}
    assert cells(canvas("A", filter=has("Z")), series("AABZ")) == ONE


def test_rule_the_filter_looks_at_the_whole_series() -> None:
    """Two of them count together, whatever lies between and in which batch they come."""
    touched = series("ZAAZ", step=40 * DAY)
    assert cells(canvas("A", filter=has("Z", number=2)), touched) == ONE
    assert cells(canvas("A", filter=has("Z", number=2)), *([each] for each in touched)) == ONE
    assert cells(canvas("A", filter=has("Z", number=3)), touched) == {}


def test_rule_a_container_that_loses_the_property_counts_no_more() -> None:
    """By a touchpoint that comes, all that was counted before is taken back; of what follows nothing is added."""
    upto_one = canvas("A", metric="events", filter=has("Z", "<=", 1))
    counted = {**ONE, ("e", 0, DAY0): 2}
    assert cells(upto_one, series("AZA")) == counted
    assert cells(upto_one, series("AZA"), series("AZAZA")[3:]) == {}
    assert cells(upto_one, series("AZAZA")) == {}


def test_rule_a_correction_gives_and_takes_the_property() -> None:
    """A withdrawal of the touchpoint that gave it takes it, and the container comes back with another one."""
    first, second = series("AZ")
    gone = touchpoint("1", second.event_time, "Z", withdrawn=True, revision=1)
    again = touchpoint("late", START + 1, "Z")
    only = canvas("A", filter=has("Z"))
    assert cells(only, [first, second]) == ONE
    assert cells(only, [first, second], [gone]) == {}
    assert cells(only, [first, second], [gone], [again]) == ONE


def test_rule_what_a_container_has_not_can_be_asked() -> None:
    """From its first touchpoint on, even one that no node reads."""
    assert cells(canvas("A", filter={"not": has("Z")}), series("B")) == {("t", DAY0): 1}
    assert cells(canvas("A", filter=has("Z", "=", 0)), series("BA")) == ONE
    assert cells(canvas("A", filter={"not": has("Z")}), series("BAZ")) == {}


def test_rule_filters_are_joined() -> None:
    """All, any and not, one in the other."""
    either = {"any": [has("Y"), {"all": [has("Z"), {"not": has("X")}]}]}
    found = {text: cells(canvas("A", filter=either), series(text)) for text in ("A", "AY", "AZ", "AZX", "AZXY")}
    assert found == {"A": {}, "AY": ONE, "AZ": ONE, "AZX": {}, "AZXY": ONE}


@pytest.mark.parametrize(("amounts", "counts"), [((2, 1), True), ((2, -1), False), ((2, -1, 2), True), ((3,), True)])
def test_rule_value_is_summed_over_the_series(amounts: tuple[int, ...], counts: bool) -> None:
    """Value comes and goes, and what does not match adds nothing."""
    deals = [touchpoint(str(n), START + n, "Z", value=amount * 1_000_000) for n, amount in enumerate(amounts, 1)]
    others = [touchpoint("0", START, "A", value=9_000_000)]
    assert bool(cells(canvas("A", filter=has("Z", number=3, metric="value")), others + deals)) is counts


def test_rule_sums_of_value_are_exact_beyond_64_bits() -> None:
    """Twice the greatest value and back: the container is in, out and in again."""
    big = 2**62
    deals = [touchpoint(str(n), START + n, "Z", value=value) for n, value in enumerate([big, big, big, -big, -big])]
    at_most = canvas("Z", metric="value", filter=has("Z", "<=", big / 1_000_000, metric="value"))
    assert cells(at_most, deals[:3]) == {}
    assert cells(at_most, deals[:3], deals[3:]) == {**ONE, ("v", 0, DAY0): big}


def test_rule_values_behind_the_gate_are_exact_beyond_64_bits() -> None:
    """Also of a derived session, whose tally is in its state."""
    big = 2**62
    deals = [
        touchpoint(str(n), START + n, type_, value=big, person="p1", session=None) for n, type_ in enumerate("ZZZZZA")
    ]
    for container in ("account", "session"):
        only = {**canvas("Z", metric="value", filter=has("A")), "container": container}
        assert cells(only, *([each] for each in deals)) == {**ONE, ("v", 0, DAY0): 5 * big}


def test_rule_a_filter_removes_no_touchpoint() -> None:
    """The container's start is its first touchpoint of any kind, and a path goes through all of them."""
    late = series("BA", step=DAY)
    assert cells(canvas("A", filter=has("A")), late) == ONE
    path = flow(starts_with="A", columns=3, filter=has("Z"))
    assert cells(path, series("ABZ")) == {("o", DAY0, (), ("A", "B", "Z")): 1}


def test_rule_distinct_containers_count_once_behind_the_filter() -> None:
    """However often a container does something; all of them go when their property goes."""
    counting = flow(count="containers", columns=2, starts_with="A", filter=has("Z", "<", 2))
    one = [touchpoint(f"a{n}", START + n, t) for n, t in enumerate("ABABZ")]
    two = [touchpoint(f"b{n}", START + n, t, account="brit") for n, t in enumerate("AB")]
    again = [touchpoint("z", START + 9, "Z")]
    both = cells(counting, one + two)
    assert (both["n", 0, "A"], both["n", 1, "B"]) == (2, 2)
    assert cells(counting, one + two, again)["n", 1, "B"] == 1


def test_rule_a_session_is_asked_for_its_own_series() -> None:
    """Of two sessions that one person's touchpoints make, only the one with the property counts."""
    visits = [
        touchpoint(str(n), START + n * 60_000 * (1 if n < 2 else 60), t, person="p1", session=None)
        for n, t in enumerate("AZAA")
    ]
    one = {**canvas("A", metric="events", filter=has("Z")), "container": "session"}
    assert cells(one, visits) == {**ONE, ("e", 0, DAY0): 1}
    assert cells(one, *([each] for each in reversed(visits))) == {**ONE, ("e", 0, DAY0): 1}
    distinct = {**flow(count="containers", columns=2, filter=has("Z")), "container": "session"}
    assert cells(distinct, visits) == {
        ("n", 0, "A"): 1, ("n", 1, "Z"): 1, ("l", 0, "A", 1, "Z"): 1,
    }  # fmt: skip


def test_rule_a_cohort_counts_periods_before_the_property_came() -> None:
    """Inclusion and return of January count when the deal is won in March."""
    found = cells(cohort(filter=has("Z")), series("ABZ", step=DAY))
    assert found == {("i", DAY0): 1, ("r", DAY0, 1): 1}


# ----------------------------------------------------------------------------------------------- what it is by now


def tiers(*values: Any) -> list[Any]:
    """An A for each value of the attribute, None for one without."""
    return [
        touchpoint(str(n), START + n, "A", attributes=None if value is None else {"tier": value})
        for n, value in enumerate(values)
    ]


def last(op: str, value: Any) -> dict[str, Any]:
    """The filter for what the attribute is now."""
    return {"last": {"field": "attributes.tier", "op": op, "value": value}}


def test_rule_the_newest_value_is_what_a_container_is() -> None:
    """Touchpoints without one change nothing; an older value that comes late neither."""
    gold = canvas("A", filter=last("=", "gold"))
    older = touchpoint("x", START - 1, "B", attributes={"tier": "iron"})
    assert cells(gold, tiers("iron", "gold", None)) == ONE
    assert cells(gold, tiers("gold", "iron", None)) == {}
    assert cells(gold, tiers("iron", "gold"), [older]) == ONE
    assert cells(gold, tiers("iron", "gold"), tiers("iron", "gold", "iron")[2:]) == {}


@pytest.mark.parametrize(
    ("op", "value", "counts"),
    [("=", "gold", False), ("!=", "gold", True), ("exists", False, True), ("exists", True, False)],
)
def test_rule_what_no_touchpoint_says_a_container_lacks(op: str, value: Any, counts: bool) -> None:
    """It equals nothing and differs from everything, as a field that a touchpoint lacks."""
    assert bool(cells(canvas("A", filter=last(op, value)), tiers(None, None))) is counts
    lacks = {"account": last(op, value)}
    assert bool(cells(of_deals(**lacks), deals(o1="A"))) is counts


# ------------------------------------------------------------------------------------------- touchpoints that match


def test_rule_others_do_not_enter_the_series() -> None:
    """They lie in no path, reach no node and count as no event."""
    only = {"touchpoints": {"field": "type", "op": "in", "value": ["A", "C"]}}
    assert cells(flow(columns=3, filter=only), series("ABCB")) == {("o", DAY0, (), ("A", "C")): 1}
    assert cells(canvas("B", filter=only), series("ABCB")) == {("t", DAY0): 1}
    assert cells(cohort(filter=only), series("AB", step=DAY)) == {("i", DAY0): 1}


def test_rule_a_container_begins_with_the_first_that_matches() -> None:
    """One without any is not there at all; however they come."""
    late = series("BBA", step=DAY)
    seen = canvas("Z", filter={"touchpoints": is_("A")})
    assert cells(seen, late) == cells(seen, *([each] for each in reversed(late))) == {("t", DAY0 + 2): 1}
    assert cells(seen, late[:2]) == {}
    assert cells(seen, late, [touchpoint("x", START + DAY, "A")]) == {("t", DAY0 + 1): 1}


def test_rule_has_and_last_see_all_touchpoints() -> None:
    """What a container's whole series has does not depend on what is seen of it; nor what its account's has."""
    seen = {"touchpoints": is_("A")}
    assert cells(canvas("A", filter={**seen, "of": has("Z")}), series("AZ")) == ONE
    assert cells(canvas("A", filter={**seen, "of": has("Z")}), series("A")) == {}
    tier = {"last": {"field": "attributes.tier", "op": "=", "value": "gold"}}
    gold = [touchpoint("g", START + 9, "B", attributes={"tier": "gold"})]
    assert cells(canvas("A", filter={**seen, "of": tier}), series("A") + gold) == ONE
    under = of_deals(account=has("Z"), then={**seen, "of": has("Y")})
    assert cells(under, deals(o1="AY", o2="AX", none="Z")) == ONE


def test_rule_what_does_not_match_keeps_a_session_alive() -> None:
    """Sessions are made of all touchpoints, and then seen in part."""
    walk = [touchpoint(str(n), START + n * 1_500_000, t, person="p1", session=None) for n, t in enumerate("ABA")]
    seen = {**flow(columns=3, filter={"touchpoints": is_("A")}), "container": "session", "include_repeats": True}
    assert cells(seen, walk) == {("o", DAY0, (), ("A", "A")): 1}
    assert cells(seen, walk[::2]) == {("o", DAY0, (), ("A",)): 2}


def test_rule_a_container_stands_where_the_touchpoints_that_are_seen_have_brought_it() -> None:
    """An analysis without positions has none with a filter either."""
    lens, state = behind(canvas("A", filter={"touchpoints": {"not": is_("A")}}), "AB")
    assert lens.position(state) is None
    lens, state = behind(canvas("A", filter={"touchpoints": is_("A"), "of": has("B")}), "AB")
    assert lens.position(state) == ["n0"]
    assert not hasattr(behind(flow(filter={"touchpoints": is_("A")}), "A")[0], "position")


# ------------------------------------------------------------------------------------------------------ outer first


def deals(**types_by_id: str) -> list[Any]:
    """Opportunities of acme, one after the other, a touchpoint per letter; `none` is under no opportunity."""
    walks = [(id_, letter) for id_, types in types_by_id.items() for letter in types]
    return [
        touchpoint(f"{id_}{n}", START + n, letter, opportunity=None if id_ == "none" else id_)
        for n, (id_, letter) in enumerate(walks)
    ]


def of_deals(**filters: Any) -> dict[str, Any]:
    """A canvas of opportunities that count only in this way."""
    return {**canvas("A", filter=filters), "container": "opportunity"}


TWO: dict[tuple[Any, ...], int] = {("t", DAY0): 2, ("n", 0, DAY0): 2}


def test_rule_what_the_account_has_counts_all_containers_under_it() -> None:
    """With what they did before, wherever in the account it lies; those of another account do not count."""
    other = [touchpoint("o", START, "A", opportunity="o1", account="brit")]
    under = of_deals(account=has("Z"))
    assert cells(under, deals(o1="A", o2="AA") + other) == {}
    assert cells(under, deals(o1="A", o2="AA") + other, deals(o1="A", o2="AA", none="Z")[3:]) == TWO
    assert cells(under, deals(none="Z"), other, deals(o1="A", o2="A")) == TWO


def test_rule_the_account_is_asked_for_all_of_its_touchpoints() -> None:
    """Two opportunities and what is under none make three together."""
    assert cells(of_deals(account=has("Z", number=3)), deals(o1="AZ", o2="AZ", none="Z")) == TWO
    assert cells(of_deals(account=has("Z", number=3)), deals(o1="AZ", o2="AZ")) == {}


def test_rule_containers_go_when_their_account_loses_the_property() -> None:
    """By one touchpoint more of another container, or of none; and what comes later does not count either."""
    first = deals(o1="A", o2="A")
    more = [touchpoint("z", START + 9, "Z"), touchpoint("o3", START + 10, "A", opportunity="o3")]
    under = of_deals(account={"not": has("Z")})
    assert cells(under, first) == TWO
    assert cells(under, first, more[:1]) == {}
    assert cells(under, first, more[:1], more[1:]) == cells(under, first, more) == {}


def test_rule_first_the_account_and_then_its_own() -> None:
    """Both must hold, whichever comes first."""
    both = of_deals(account=has("Z"), then=has("Y"))
    one = deals(o1="AY", o2="A", none="Z")
    assert cells(both, one) == cells(both, *([each] for each in one)) == cells(both, one[::-1]) == ONE
    assert cells(both, one[:3]) == {}
    assert cells(both, one[:1] + one[2:]) == {}


def test_rule_distinct_sessions_count_behind_the_gate_of_their_account() -> None:
    """Also derived ones: each once, all at once when the account comes to have the property."""
    visits = [
        touchpoint(str(n), START + n * 3_600_000, "A", person="p1", session=None, content_type="x") for n in range(3)
    ]
    named = [touchpoint("n", START, "A", session="s1", content_type="x")]
    bought = [touchpoint("z", START + DAY, "Z", stream="crm")]
    counting = {
        **flow(count="containers", columns=2, filter={"account": has("Z")}), "container": "session",
        "dimension": "content_type",
    }  # fmt: skip
    assert cells(counting, visits, named) == {}
    assert cells(counting, visits, named, bought) == {("n", 0, "x"): 4, ("x", 0, "x", 1): 4}
    own = {**counting, "filter": {"account": has("Z"), "then": has("A", "=", 1)}}
    again = [touchpoint("2nd", START + 60_000, "A", person="p1", session=None)]
    assert cells(own, visits, again, bought, named) == {("n", 0, "x"): 3, ("x", 0, "x", 1): 3}


def test_rule_distinct_sessions_count_alike_beside_an_analysis_that_asks_their_account() -> None:
    """A person's derived sessions share a row, of which another analysis may keep tallies: they stay apart."""
    visits = [touchpoint(str(n), START + n * 3_600_000, "A", person="p1", session=None) for n in range(3)]
    asking = {**of_sessions(account=has("Z")), "name": "asking"}
    for filters in ({}, {"filter": has("A")}):
        counting = {**flow(count="containers", columns=2), "container": "session", "dimension": "type", **filters}
        assert cells(counting, *([each] for each in visits), beside=[asking])["n", 0, "A"] == 3


def test_rule_under_an_account_containers_stand_nowhere() -> None:
    """What the account has moves no row of theirs, so none says where it stands."""
    lens, _ = behind({**of_deals(account=has("Z")), "container": "opportunity"}, "A")
    assert not hasattr(lens, "position")


# ------------------------------------------------------------------------------------------ first a session's person


def of_sessions(**filters: Any) -> dict[str, Any]:
    """A canvas of sessions that count only in this way."""
    return {**canvas("A", filter=filters), "container": "session"}


def visit(id_: str, type_: str, minute: int = 0, **fields: Any) -> Any:
    """A touchpoint of a session without an id; each hour is one of its own."""
    return touchpoint(id_, START + minute * 60_000, type_, **{"person": "p1", "session": None, **fields})


CALL = touchpoint("z", START + DAY, "Z", person="p1", stream="crm")


def test_rule_what_a_person_has_counts_all_sessions_under_it() -> None:
    """Derived ones and named ones, with what they did before; those of others do not count, nor those of nobody."""
    here = [visit("1", "A"), visit("2", "A", 90), visit("3", "A", session="s1")]
    there = [visit("4", "A", person="p2"), visit("5", "A", person=None, session="s2")]
    under = of_sessions(person=has("Z"))
    three = {("t", DAY0): 3, ("n", 0, DAY0): 3}
    assert cells(under, here + there) == {}
    assert cells(under, here + there, [CALL]) == cells(under, [CALL], here, there) == three
    gone = touchpoint("z", START + DAY, "Z", withdrawn=True, revision=1)
    assert cells(under, here + there, [CALL], [gone]) == {}
    nobody = of_sessions(person={"not": has("Z")})
    assert cells(nobody, here + there, [CALL]) == ONE


def test_rule_a_session_lies_under_the_newest_person_that_it_names() -> None:
    """It moves from one to the other, whether what moves it comes late or is taken back."""
    first, second = visit("1", "A", person="p2", session="s1"), visit("2", "B", 5, session="s1")
    under = of_sessions(person=has("Z"))
    assert cells(under, [first, CALL]) == {}
    assert cells(under, [first, CALL], [second]) == cells(under, [second], [CALL], [first]) == ONE
    away = visit("3", "B", 9, person="p2", session="s1")
    assert cells(under, [first, second, CALL], [away]) == {}
    assert cells(under, [first, second, CALL], [away], [visit("3", "B", 9, withdrawn=True, revision=1)]) == ONE
    assert cells(under, [first, second, CALL], [visit("3", "B", 9, person=None, session="s1")]) == ONE
    assert cells(under, [first, CALL, away], [visit("4", "Z", 600, person="p2", stream="crm")]) == ONE


def test_rule_first_the_account_then_the_person_then_its_own() -> None:
    """All three must hold, in whatever order they come to."""
    all_three = of_sessions(account=has("Y"), then={"person": has("Z"), "then": has("B")})
    come = [visit("1", "A"), visit("2", "B", 1), CALL, touchpoint("y", START, "Y", stream="crm")]
    assert cells(all_three, come) == cells(all_three, *([each] for each in reversed(come))) == ONE
    for n in range(1, 4):
        assert cells(all_three, come[:n] + come[n + 1 :]) == {}


def test_rule_an_account_opens_the_sessions_that_name_its_people() -> None:
    """When it comes to have one of what is asked; one more changes nothing."""
    both = of_sessions(account=some("opportunity", has("Y")), then={"person": has("Z")})
    come = [visit("1", "A", session="s1"), visit("2", "A", session="s2", person="p2"), CALL]
    first, second = (touchpoint(f"y{n}", START, "Y", stream="crm", opportunity=f"o{n}") for n in (1, 2))
    assert cells(both, come) == {}
    assert cells(both, come, [first]) == cells(both, come, [first], [second]) == ONE


def test_rule_a_session_has_its_person_of_touchpoints_that_its_analysis_does_not_read() -> None:
    """A flow of contents reads nothing of a touchpoint without one; that names the person all the same."""
    contents = {**flow(columns=2, filter={"person": has("Z")}), "container": "session", "dimension": "content_type"}
    come = [visit("1", "A", session="s1", person=None, content_type="x"), visit("2", "A", 1, session="s1")]
    assert cells(contents, come) == {}
    assert cells(contents, come, [CALL]) == cells(contents, [CALL], come) == {("o", DAY0, (), ("x",)): 1}


# ------------------------------------------------------------------------------------- some of what lies under it


def some(kind: str, that: dict[str, Any]) -> dict[str, Any]:
    """The filter for what has at least one such container under it."""
    return {"some": kind, "that": that}


def test_rule_one_container_must_have_it_all() -> None:
    """Two that have a part each are none; the account counts once however many have it."""
    both = canvas("A", filter=some("opportunity", {"all": [has("Y"), has("Z")]}))
    assert cells(both, deals(none="A", o1="Y", o2="Z")) == {}
    assert cells(both, deals(none="A", o1="YZ", o2="Z")) == cells(both, deals(none="A", o1="YZ", o2="YZ")) == ONE


def test_rule_an_account_goes_with_the_last_one_that_has_it() -> None:
    """By a touchpoint more of that one, which is none of its own analysis'."""
    open_ones = canvas("A", filter=some("opportunity", {"not": has("Z")}))
    two = deals(none="A", o1="B", o2="B")
    lost = [touchpoint(f"z{n}", START + 9 + n, "Z", opportunity=f"o{n}") for n in (1, 2)]
    assert cells(open_ones, two) == cells(open_ones, two, lost[:1]) == ONE
    assert cells(open_ones, two, lost[:1], lost[1:]) == cells(open_ones, two + lost) == {}
    assert cells(open_ones, deals(none="A")) == {}
    none_open = canvas("A", filter={"not": some("opportunity", {"not": has("Z")})})
    assert cells(none_open, two, lost[:1]) == {}
    assert cells(none_open, two, lost[:1], lost[1:]) == cells(none_open, deals(none="A")) == ONE


def test_rule_some_is_joined_with_what_the_container_has_itself() -> None:
    """In any way; each part is asked of what it names."""
    either = canvas("A", filter={"any": [has("X"), {"all": [some("person", has("Y")), {"not": has("Z")}]}]})
    person = [touchpoint("y", START + 9, "Y", person="p1")]
    found = {text: cells(either, series(text), person) for text in ("A", "AZ", "AZX")}
    assert found == {"A": ONE, "AZ": {}, "AZX": ONE}
    assert cells(either, series("A")) == {}


def test_rule_outer_containers_are_asked_for_some_of_theirs() -> None:
    """An account with such a person lets all its opportunities count; a person with such a session all of its own."""
    under = of_deals(account=some("person", {"all": [has("Y"), has("Z")]}))
    apart = [touchpoint("y", START, "Y", person="p1"), touchpoint("z", START, "Z", person="p2")]
    assert cells(under, deals(o1="A"), apart) == {}
    assert cells(under, deals(o1="A"), apart, [touchpoint("zz", START, "Z", person="p1")]) == ONE
    looked = of_sessions(person=some("session", has("B", "=", 2)))
    walk = [visit("1", "A"), visit("2", "B", 90), visit("3", "B", 91)]
    assert cells(looked, walk[:2]) == {}
    assert cells(looked, walk)["n", 0, DAY0] == cells(looked, *([each] for each in reversed(walk)))["n", 0, DAY0] == 1


def test_rule_named_sessions_are_asked_under_their_person() -> None:
    """One that moves takes what it has along."""
    looked = {**canvas("A", filter=some("session", has("B"))), "container": "person"}
    own = [
        touchpoint("a", START, "A", person="p1", stream="crm"),
        touchpoint("b", START, "A", person="p2", stream="crm"),
    ]
    walk = [visit("1", "B", session="s1"), visit("2", "C", 1, session="s1", person="p2")]
    assert cells(looked, own) == {}
    assert cells(looked, own, walk[:1]) == cells(looked, own, walk[:1], walk[1:]) == ONE
    back = visit("2", "C", 1, session="s1", person="p1", revision=1)
    assert cells(looked, own, walk, [back], [touchpoint("c", START + 1, "A", person="p1", stream="crm")]) == ONE


def test_rule_by_what_lies_under_them_containers_stand_nowhere() -> None:
    """What others do moves no row of theirs."""
    lens, _ = behind(canvas("A", filter={"all": [has("Z"), some("person", has("Y"))]}), "AZ")
    assert not hasattr(lens, "position")


# ----------------------------------------------------------------------------------------------------- what is kept


def test_rule_a_container_stands_somewhere_while_it_counts() -> None:
    """Where the analysis says; nowhere without the property. A flow has no positions, with a filter or without."""
    lens, state = behind(canvas("A", filter=has("Z")), "AZ")
    assert lens.position(state) == ["n0"]
    lens, state = behind(canvas("A", filter=has("Z")), "A")
    assert lens.position(state) is None
    assert not hasattr(behind(flow(filter=has("Z")), "A")[0], "position")


def test_rule_what_is_kept_of_a_filter_does_not_grow() -> None:
    """Counts stop one above what they are compared with, so that a late touchpoint changes no state behind."""
    _, few = behind(canvas("A", filter=has("Z", number=2)), "AZZZ")
    _, many = behind(canvas("A", filter=has("Z", number=2)), "A" + "Z" * 50)
    assert few == many == [[3], True, [DAY0, 1, 0]]


def test_rule_without_a_filter_states_are_as_they_were() -> None:
    """No gate, no tally, nothing around the state."""
    plain, filtered = (
        lens_of(definition_set([{"name": "it", **canvas("A", **options)}]).definitions[0])
        for options in ({}, {"filter": has("Z")})
    )
    assert not isinstance(plain, SegmentLens)
    assert (plain.empty(), plain.gate) == ([None, 0, 0], None)
    assert filtered.empty() == [[0], None, [None, 0, 0]]
    assert filtered.gate is not None
    assert filtered.gate.cells == (GATE,)


def test_rule_a_filter_reads_no_more_than_it_must() -> None:
    """The value only where it is summed."""
    lenses = [behind(canvas("A", filter=has("Z", metric=metric)), "")[0] for metric in ("count", "value")]
    assert ["value" in lens.fields for lens in lenses] == [False, True]


def test_a_session_goes_on_while_nothing_of_it_changes() -> None:
    """What interests no analysis changes nothing that a filter lets through."""
    filtered = canvas("A", container="session") | {
        "filter": {"has": {"match": {"field": "type", "op": "=", "value": "B"}}}
    }
    walk = [touchpoint(str(n), START + n, type_, person="p", stream="web") for n, type_ in enumerate("AXXBX")]
    for cut in range(len(walk)):
        assert cells(filtered, walk[:cut], walk[cut:]) == {("t", DAY0): 1, ("n", 0, DAY0): 1}
