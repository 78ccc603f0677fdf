"""Who would be in audiences, had they been in force from the beginning (`state.milestone_trial`)."""

from collections.abc import Iterator, Sequence

from state.account_batch import Outcome
from state.audience_set import AudienceDefinition
from state.memberships import Member, decode_member
from state.milestone_trial import Trial, Write
from state.rows import members_prefix
from streams.store import Row, Rows


class AudienceTrial(Trial):
    """One partition. What `take` gives are the changes of members."""

    def __init__(self, audiences: Sequence[AudienceDefinition], store: Rows, write: Write) -> None:
        """write: puts rows into the store."""
        super().__init__((), store, write, audiences)

    def members(self, audience: str) -> Iterator[tuple[bytes, Member]]:
        """Who is in, by place, in the order of the accounts."""
        prefix = members_prefix(audience)
        known = ((key[len(prefix) :], decode_member(value)) for key, value in self._store.scan(prefix))
        yield from ((at, member) for at, member in known if member.is_in)

    def _told(self, outcome: Outcome) -> list[Row]:
        return outcome.pending.memberships
