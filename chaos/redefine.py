"""Definition files that differ from one another, over what the generator makes."""

import random
from typing import Any

from state.definitions import DefinitionFile

CONTAINERS = ("account", "opportunity", "person", "buying_group", "session")
TYPES = ("Lead Form Step 1", "Opportunity Created", "MQL Qualified", "Closed-Won")


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


def redefined(rng: random.Random, before: DefinitionFile) -> DefinitionFile:
    """Another file: of the analyses before some stay, some change, some go, and some are new. The first stays, so that
    something counts: under a random one it may be nothing."""
    first = before.analyses[0]
    kept = [each for each in before.analyses if rng.random() < 0.7 or each is first]
    analyses: dict[str, Any] = {each.name: each.model_dump(by_alias=True, mode="json") for each in kept}
    for name in rng.sample([f"a{number}" for number in range(6)], rng.randint(1, 3)):
        made = rng.choice((_canvas, _cohort, _flow))(rng)
        analyses[name] = {"name": name, "container": rng.choice(CONTAINERS), **made}
    return DefinitionFile.model_validate({"version": 1, "analyses": list(analyses.values())})
