"""The outputs and who reads them: the highest tag of a value, the highest revision of a message."""

from tests.model.kafka import Identity, remember
from tests.model.rules import Rules
from tests.model.stage import ABSOLUTE, Messages
from tests.model.world import Output

NEVER = -2
"""Below every version; -1 is the applied offset before the first event."""


def published(
    rules: Rules, name: str, output: Output, identity: Identity, messages: Messages, *, is_late: bool
) -> Output:
    """The output after one batch, read at once."""
    is_absolute = name in ABSOLUTE
    highest_wins = rules.highest_tag_wins if is_absolute else rules.highest_revision_wins
    taken, has_gone_back = dict(output.taken), output.has_gone_back
    for key, version, value in messages:
        had = taken[key][0] if key in taken else NEVER
        if version > had or not highest_wins:
            taken[key] = (version, value)
            # A value taken twice is the same value; a message taken twice is delivered twice.
            has_gone_back |= version < had or (version == had and not is_absolute)
    last = dict(output.last) | {key: value for key, _, value in messages} if is_absolute else {}
    return Output(
        remember(output.known, identity),
        tuple(sorted(taken.items())),
        tuple(sorted(last.items())),
        has_gone_back,
        output.has_late_word or is_late,
    )
