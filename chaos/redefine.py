"""Definition files that differ from one another, over what the generator makes: analyses, milestones and audiences."""

import random
from typing import Any

from state.definitions import Analysis, DefinitionFile

CONTAINERS = ("account", "opportunity", "person", "buying_group", "session")
TYPES = ("Lead Form Step 1", "Opportunity Created", "MQL Qualified", "Closed-Won")
OFTEN = ("Call Logged", "Meeting Held", "Video Watched", "Lead Form Step 1")
SINCE = "2020-01-01"
"""Before everything: all that happens is told, for silence would be no test."""
KEPT_MILESTONES = [
    {"name": "often", "container": "account", "each": True, "alert_since": SINCE,
     "when": {"match": {"field": "type", "op": "in", "value": list(OFTEN)}}},
    {"name": "not-followed", "container": "person", "each": True, "alert_since": SINCE,
     "when": {"after": {"field": "type", "value": "Lead Form Step 1"},
              "without": {"field": "type", "value": "Call Logged"}, "within": "10d"}},
]  # fmt: skip
KEPT_AUDIENCES = [
    {"name": "called-last", "container": "account", "when": {"last": {"field": "type", "value": "Call Logged"}}},
    {"name": "in-the-funnel", "container": "account", "from": {"canvas": "lead-to-won", "node": "lead-form"},
     "attributes": {"deal": "opportunity"}},
]  # fmt: skip


def _is(type_: str) -> dict[str, Any]:
    return {"field": "type", "op": "=", "value": type_}


def _canvas(rng: random.Random) -> dict[str, Any]:
    types = rng.sample(TYPES, 3)
    return {
        "kind": "canvas",
        "metric": rng.choice(("containers", "events", "value")),
        "nodes": [{"id": f"n{number}", "match": _is(type_)} for number, type_ in enumerate(types)],
        "arrows": [{"from": "n0", "to": "n1"}, {"from": "n1", "to": "n2"}],
    }


def _cohort(rng: random.Random) -> dict[str, Any]:
    return {
        "kind": "cohort",
        "granularity": rng.choice(("week", "month", "quarter")),
        "include": rng.choice(("first", "every")),
        "inclusion": {"match": _is(rng.choice(TYPES))},
        "return": {"match": _is(rng.choice(TYPES)), "number": rng.randint(1, 2)},
    }


def _flow(rng: random.Random) -> dict[str, Any]:
    return {
        "kind": "flow",
        "dimension": rng.choice(("content_type", "channel")),
        "ends_with": {"match": _is(rng.choice(TYPES))},
        "columns": rng.randint(3, 5),
        "count": rng.choice(("occurrences", "containers")),
    }


def _amount(rng: random.Random) -> dict[str, Any]:
    return {"match": _is(rng.choice(OFTEN)), "at_least": rng.randint(1, 3)}


def _missing(rng: random.Random) -> dict[str, Any]:
    begins, ends = rng.sample(OFTEN, 2)
    return {"after": _is(begins), "without": _is(ends), "within": rng.choice(("1d", "30d"))}


def _unchanged(rng: random.Random) -> dict[str, Any]:
    return {"field": "type", "for": rng.choice(("12h", "7d")), "only": list(rng.sample(OFTEN, 2))}


def _has(rng: random.Random) -> dict[str, Any]:
    within = rng.choice(({}, {"within": "600d"}, {"within": "700d"}))
    return {"has": {"match": _is(rng.choice(OFTEN)), "number": rng.randint(1, 3), **within}}


def _audience(rng: random.Random) -> dict[str, Any]:
    last = {"last": {"field": "type", "op": "in", "value": rng.sample(OFTEN, 2)}}
    return rng.choice((_has(rng), {"all": [_has(rng), {"not": last}]}, {"any": [last, {"milestone": "often"}]}))


def first_definitions(analyses: DefinitionFile) -> DefinitionFile:
    """These analyses, and milestones and audiences that every file has."""
    plain = analyses.model_dump(by_alias=True, mode="json", exclude_unset=True)
    return DefinitionFile.model_validate({**plain, "milestones": KEPT_MILESTONES, "audiences": KEPT_AUDIENCES})


def other_analyses(rng: random.Random, before: DefinitionFile) -> list[Analysis]:
    """Of the analyses before some stay, some change, some go, and some are new. The first stays, so that something
    counts: under a random one it may be nothing."""
    first = before.analyses[0]
    kept = [each for each in before.analyses if rng.random() < 0.7 or each is first]
    analyses: dict[str, Any] = {each.name: each.model_dump(by_alias=True, mode="json") for each in kept}
    for name in rng.sample([f"a{number}" for number in range(6)], rng.randint(1, 3)):
        made = rng.choice((_canvas, _cohort, _flow))(rng)
        analyses[name] = {"name": name, "container": rng.choice(CONTAINERS), **made}
    return DefinitionFile.model_validate({"version": 1, "analyses": list(analyses.values())}).analyses


def redefined(rng: random.Random, before: DefinitionFile) -> DefinitionFile:
    """Another file, with milestones and audiences of which some stay, too."""
    milestones = [
        {"name": f"m{number}", "container": rng.choice(("account", "person")), "alert_since": SINCE,
         "each": rng.random() < 0.5, "when": rng.choice((_amount, _missing, _unchanged))(rng)}
        for number in range(2) if rng.random() < 0.6
    ]  # fmt: skip
    audiences = [
        {"name": f"u{number}", "container": "account", "when": _audience(rng), "attributes": {"deal": "opportunity"}}
        for number in range(2)
        if rng.random() < 0.6
    ]
    analyses = [each.model_dump(by_alias=True, mode="json") for each in other_analyses(rng, before)]
    return DefinitionFile.model_validate({
        "version": 1, "analyses": analyses,
        "milestones": KEPT_MILESTONES + milestones, "audiences": KEPT_AUDIENCES + audiences,
    })  # fmt: skip
