"""What an answer means for a delivery: done, again later, or dead. Pure; the time and the chance come from outside."""

from typing import Literal, NamedTuple

import msgspec

from state.delivery.rows import Delivery

BACKOFF_MS, BACKOFF_MS_MAX = 1_000, 3_600_000
"""The first wait at most, doubled with each try, and the longest."""
RETRY_AFTER_MS_MAX = 86_400_000
WHY_CHARACTERS_MAX = 300


Result = Literal["done", "later", "refused", "gone"]


class Answer(msgspec.Struct, frozen=True):
    """What came of a try. result: done; later: it may work another time; refused: it never will; gone: nobody wants
    anything of us there any more. retry_after_ms: what the receiver asked for, from now on."""

    result: Result
    why: str = ""
    retry_after_ms: int = 0


class Delivered(NamedTuple):
    """It was received."""


class Later(NamedTuple):
    """It is tried again at due_ms."""

    due_ms: int
    why: str


class Dead(NamedTuple):
    """It is not tried again by itself. is_gone: nor is anything else of this destination."""

    why: str
    is_gone: bool = False


Verdict = Delivered | Later | Dead


def backoff_ms(attempts: int, chance: float) -> int:
    """How long to wait behind so many tries, the last one included. chance: 0 to below 1; waits are spread over the
    upper half, so that many that failed together do not come back together."""
    longest = min(BACKOFF_MS_MAX, BACKOFF_MS << min(attempts - 1, 32))
    return longest // 2 + int(longest / 2 * chance)


def verdict_of(
    answer: Answer, delivery: Delivery, now_ms: int, chance: float, give_up_after_ms: int, resumed_ms: int
) -> Verdict:
    """What becomes of a delivery that got the answer at now_ms. resumed_ms: since when its destination is sent to: for
    as long as that was paused, nothing failed."""
    why = answer.why[:WHY_CHARACTERS_MAX]
    match answer.result:
        case "done":
            return Delivered()
        case "refused":
            return Dead(why)
        case "gone":
            return Dead(why, is_gone=True)
    if now_ms - max(delivery.begun_ms, resumed_ms) >= give_up_after_ms:
        return Dead(f"given up after {delivery.attempts + 1} tries: {why}"[:WHY_CHARACTERS_MAX])
    wait_ms = backoff_ms(delivery.attempts + 1, chance)
    return Later(now_ms + max(wait_ms, min(answer.retry_after_ms, RETRY_AFTER_MS_MAX)), why)
