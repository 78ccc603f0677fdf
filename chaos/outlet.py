"""Where deliveries go: a route for everything to one real receiver, and the ways in which that one fails."""

import random

from state.delivery.configuration import DeliveryFile
from tests.agents.delivery.receiver import Answering, Received, Reply

DESTINATION = "hook"
_FAILURES = {
    "answers 500": Reply(500),
    "answers 429": Reply(429, {"Retry-After": "1"}),
    "resets connections": Reply(0),
    "breaks off answers": Reply(cut=True),
    "is too slow": Reply(wait_s=3.0),
}


def routed_to(url: str, at_once: int = 8) -> DeliveryFile:
    """Everything to one webhook, which gets each message: it is never told only the last word."""
    hook = {"kind": "webhook", "url": url, "timeout_s": 2.0, "at_once": at_once, "coalesce_above": 100_000}
    route = {"name": "all", "to": [DESTINATION], "milestones": ["*"], "audiences": ["*"]}
    return DeliveryFile.model_validate({"version": 1, "destinations": {DESTINATION: hook}, "routes": [route]})


def failing(rng: random.Random) -> tuple[str, Answering]:
    """A way to fail, in words, and how a receiver answers that does so: to all requests or some."""
    text, failure = rng.choice(list(_FAILURES.items()))
    share = rng.choice((0.3, 1.0))

    def answer(_: Received, __: int) -> Reply:
        return failure if rng.random() < share else Reply()

    return f"{text}, {share:.0%} of the time", answer


def unreachable(_: Received, __: int) -> Reply:
    """To whoever has a connection still."""
    return _FAILURES["resets connections"]
