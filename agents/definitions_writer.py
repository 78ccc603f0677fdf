"""Who publishes definitions does so one after the other: what is published follows from all that stood there before it.

The law is that of `streams.fence`. Every writer takes the same transactional id, leaves a fence on the topic, and only
then reads it: behind the fence the broker refuses whatever a former writer would still append, and what that one had
appended before is read.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping

from agents.reading import Definitions, read_definition_records
from agents.sending import Outgoing, send_all
from agents.settings import Settings
from state.definition_set import definition_set_of
from state.layers import layout_bytes
from streams.batch import BatchTooLargeError, one_batch
from streams.ending import CLOSE_S_MAX
from streams.errors import LostError, UnavailableError, UsageError
from streams.fence import REQUEST_TIMEOUT_S, FencedProducer
from streams.protocol_rows import FENCE_KEY
from streams.topics import MESSAGE_BYTES_MAX, topic_name

TRIES_MAX, TRYING_S_MAX = 6, 30.0
"""How often, and for how long another try is begun."""
_WAIT_S = 0.1  # doubled with each try, and any part of it: of two writers one is the first
APPLY_S_MAX = 30.0
"""From looking at what readers see to sending what takes it along; it may be retired later (`agents.snapshots`)."""
DELIVERY_S_MAX = REQUEST_TIMEOUT_S + CLOSE_S_MAX
"""From sending to an answer; behind it nothing is sent again."""
DEFINITION_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 2**10
DEFINITIONS_BYTES_MAX = MESSAGE_BYTES_MAX - 64 * 2**10
"""All of them together are one row of a commit, which then is not too large however little they can be compressed."""

Records = Mapping[str, bytes | None]
Decide = Callable[[Definitions], Records]


def change_definitions(bootstrap: str, settings: Settings, decide: Decide) -> None:
    """Publishes, as one batch, what `decide` makes of what stands on the topic, which may be nothing. The last time
    that it is asked counts: it is asked again behind the fence, and where others publish at the same moment.

    Raises what `decide` raises; UsageError for what is too large; UnavailableError when Kafka does not take it, or
    others always come first.
    """
    why: LostError | None = None
    until = time.monotonic() + TRYING_S_MAX
    for number in range(TRIES_MAX):
        if not decide(read_definition_records(bootstrap, settings)):
            return
        try:
            _change(bootstrap, settings, decide)
            return
        except LostError as error:
            why = error
            if time.monotonic() > until:
                break
            time.sleep(random.uniform(0, _WAIT_S * 2**number))
    raise UnavailableError(
        f"others publish definitions at the same moment, or Kafka does not answer ({why}); ask again in a moment"
    )


def _change(bootstrap: str, settings: Settings, decide: Decide) -> None:
    """One try. Raises LostError when somebody else comes in between, or what Kafka did is unknown."""
    topic = topic_name("definitions", settings.prefix, settings.generation)
    with asyncio.Runner() as runner:
        fence = runner.run(FencedProducer.start(bootstrap, f"{topic}-writer"))
        try:
            runner.run(fence.append(topic, 0, one_batch([(FENCE_KEY, b"")])))
            begun = time.monotonic()
            known = read_definition_records(bootstrap, settings)
            records = decide(known)
            if records:
                require_sizes(topic, known, records)
                _require_in_time(bootstrap, begun)
                runner.run(fence.append(topic, 0, one_batch([(key.encode(), value) for key, value in records.items()])))
        except BatchTooLargeError as error:
            raise UsageError(f"{topic} does not take these definitions at once: {error}; publish fewer") from error
        finally:
            runner.run(fence.close())


def add_definition_records(bootstrap: str, settings: Settings, records: Records) -> None:
    """Appends records that follow from nothing that stands on the topic, without a fence."""
    topic = topic_name("definitions", settings.prefix, settings.generation)
    send_all(bootstrap, (Outgoing(topic, name.encode(), value) for name, value in records.items()))


def require_sizes(topic: str, known: Definitions, records: Records) -> None:
    """Raises UsageError for a record that the topic does not hold, and where workers could not keep all definitions
    that are computed behind the publication."""
    for name, value in records.items():
        if value is not None and len(value) > DEFINITION_BYTES_MAX:
            raise UsageError(
                f"the analysis {name!r} takes {len(value)} bytes, and {topic} holds {DEFINITION_BYTES_MAX} at most;"
                " give it fewer nodes or values. Nothing was published"
            )
    newest = {**known.newest, **records}
    behind = definition_set_of({key: value for key, value in newest.items() if value is not None})
    found = layout_bytes(behind)
    if found > DEFINITIONS_BYTES_MAX:
        raise UsageError(
            f"{len(behind.definitions)} analyses, and {len(behind.replaced)} former versions that readers see until a"
            f" change is counted, take {found} bytes together; workers keep {DEFINITIONS_BYTES_MAX} at most. Apply"
            " fewer or smaller ones, or change some after the others. Nothing was published"
        )


def _require_in_time(bootstrap: str, begun: float) -> None:
    if time.monotonic() - begun > APPLY_S_MAX:
        raise UnavailableError(
            f"to read the definitions and snapshots at {bootstrap} took longer than {APPLY_S_MAX:g} s, and what"
            " readers see may have changed since. Nothing was published; try again"
        )
