"""The sets of definitions that are measured: by their number, and one with a cell per page."""

import random

from agents.commands.demo import everyday_definitions
from agents.defining import load_definitions
from chaos.redefine import other_analyses
from state.definitions import DefinitionFile


def everyday() -> DefinitionFile:
    """The three that a new user has."""
    return load_definitions(everyday_definitions())


def so_many(count: int) -> DefinitionFile:
    """The everyday ones, or the first of them, and others beside them, of every kind and container. The same number
    gives the same, and of two numbers the smaller one's are among the greater one's."""
    file = everyday()
    rng, found = random.Random(12), list(file.analyses)
    while len(found) < count:
        (made, *_) = [each for each in other_analyses(rng, file) if each not in file.analyses]
        found.append(made.model_copy(update={"name": f"more-{len(found)}"}))
    return file.model_copy(update={"analyses": found[:count]})


def by_page() -> DefinitionFile:
    """One canvas that counts page views by page: a cell per page, and one changes with three events of four."""
    return DefinitionFile.model_validate(
        {
            "version": 1,
            "zone": "UTC",
            "week_start": "monday",
            "analyses": [
                {
                    "name": "views-by-page",
                    "kind": "canvas",
                    "container": "account",
                    "metric": "events",
                    "nodes": [
                        {
                            "id": "view",
                            "match": {"field": "type", "op": "=", "value": "Page View"},
                            "breakdown": {"dimension": "content", "top": 5},
                        }
                    ],
                }
            ],
        }
    )
