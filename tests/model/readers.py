"""The outputs and who reads them: the highest tag of a value, the highest revision of a message."""

from tests.model.kafka import Identity, remember
from tests.model.rules import Rules
from tests.model.stage import ABSOLUTE, Messages
from tests.model.world import Output


def published(rules: Rules, name: str, output: Output, identity: Identity, messages: Messages) -> Output:
    """The output after one batch, read at once."""
    is_absolute = name in ABSOLUTE
    highest_wins = rules.highest_tag_wins if is_absolute else rules.highest_revision_wins
    taken, has_repeated = dict(output.taken), output.has_repeated
    for key, version, value in messages:
        is_new = key not in taken or version > taken[key][0]
        if is_new or not highest_wins:
            taken[key] = (version, value)
            has_repeated |= not is_new and not is_absolute  # a value taken twice is the same value
    last = dict(output.last) | {key: value for key, _, value in messages} if is_absolute else {}
    return Output(
        remember(output.known, identity), tuple(sorted(taken.items())), tuple(sorted(last.items())), has_repeated
    )
