"""More definitions than the everyday ones, and how long the past takes to be counted into them."""

import random
import time

from agents.commands.demo import everyday_definitions
from agents.defining import apply_definitions, load_definitions
from agents.live_snapshots import partial_sums
from agents.pipeline import Workers
from agents.reading import read_definitions
from agents.settings import Settings
from bench.world import END_MS, touchpoint_count
from chaos.redefine import redefined
from state.definitions import DefinitionFile

DEFINITION_COUNT = 12


def many_definitions() -> DefinitionFile:
    """The everyday definitions and others beside them, of every kind and container; twelve."""
    everyday = load_definitions(everyday_definitions())
    rng, found = random.Random(12), list(everyday.analyses)
    while len(found) < DEFINITION_COUNT:
        (made, *_) = [each for each in redefined(rng, everyday).analyses if each not in everyday.analyses]
        found.append(made.model_copy(update={"name": f"more-{len(found)}"}))
    return everyday.model_copy(update={"analyses": found})


def backfill_rate(settings: Settings, bootstrap: str) -> float:
    """Touchpoints per second that a worker with nothing else to do counts into definitions that are new to it."""
    workers = Workers(settings, bootstrap, [["accounts"]])
    workers.start()
    try:
        apply_definitions(many_definitions(), bootstrap, settings, END_MS)
        definitions = read_definitions(bootstrap, settings)
        begun_at = None
        for sums in partial_sums(bootstrap, settings, definitions.every, None):
            workers.require_running()
            hashes = {covers.definitions_hash for covers in sums.covers.values()}
            begun_at = begun_at or (time.monotonic() if definitions.hash in hashes else None)
            if all(sums.is_complete(each.version) for each in definitions.definitions):
                assert begun_at is not None
                return touchpoint_count(settings, bootstrap) / (time.monotonic() - begun_at)
        raise AssertionError("reading the partials never ends by itself")
    finally:
        workers.stop()
