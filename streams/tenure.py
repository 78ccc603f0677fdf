"""One owner's right to write a partition, and every append that it makes by that right.

The law: from the claim on, nobody else can append to the changelog; from its fence record on, nobody else to that
output. What stands behind the claim is ours alone, so each append to the changelog lands where the one before it
ended. One that does not means another owner, and this one stops.

Rules kept here: fence, claim_first, fence_outputs_before_ready, ready_behind_claim, check_base_offset, renew_fence.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from streams.batch import Batch, one_batch
from streams.commit import Outputs
from streams.crash import crash_point
from streams.errors import LostError
from streams.fence import Appended, FencedProducer
from streams.protocol_rows import CLAIM_KEY, FENCE_KEY, READY_KEY
from streams.restore import Changelog


class Tenure:
    """claim, then confirm, then any number of commits, publications and renewals; close. One call at a time.

    epoch: the claim's offset. next_offset: where the next append to the changelog must land. acknowledged_ms: the
    broker's time of the last one, from ready on. Every append raises LostError when another owner took over, when its
    outcome is unknown, or when `check` does.
    """

    def __init__(self, owner: str, bootstrap: str, changelog: Changelog, check: Callable[[], None]) -> None:
        """owner: for messages. check: raises when the owner may not write any more."""
        self.changelog = changelog
        self.check = check
        self.epoch = self.next_offset = -1
        self.acknowledged_ms = 0
        self._begun_at = self._acknowledged_at = 0.0
        self._owner = owner
        self._bootstrap = bootstrap
        self._fence: FencedProducer | None = None
        self._appended_at_by_output: dict[str, float] = {}

    def __str__(self) -> str:
        return self._owner

    # --- taking the partition

    async def claim(self) -> Appended:
        """Rules fence and claim_first: from here on no former owner can append to the changelog, and what it did
        append stands before the claim."""
        transactional_id = f"{self.changelog.topic}-{self.changelog.partition}"
        self._fence = await FencedProducer.start(self._bootstrap, transactional_id)
        crash_point("fence")
        try:
            self.check()
        except LostError:
            # Whoever closed us while it started could not close it.
            await self._fence.close()
            raise
        claim = await self._append(self.changelog.topic, one_batch([(CLAIM_KEY, transactional_id.encode())]))
        self.epoch = claim.offset
        crash_point("claim")
        return claim

    async def confirm(self, claim: Appended, outputs: Sequence[str]) -> None:
        """Rules fence_outputs_before_ready and ready_behind_claim."""
        for topic in outputs:
            # A partition of an output that has not seen the new epoch still takes the former owner's word.
            await self.append_fence(topic)
        crash_point("outputs")
        begun_at = time.monotonic()
        ready = await self._append(self.changelog.topic, one_batch([(READY_KEY, b"%d" % claim.offset)]))
        if ready.offset != claim.offset + 1:
            raise LostError(
                f"{self}: ready stands at {ready.offset}, the claim at {claim.offset}; something else was appended"
            )
        self.next_offset = ready.offset + 1
        self._heard(ready, begun_at)
        crash_point("ready")

    def is_due(self, renewal_s: float) -> bool:
        """Whether the fence is to be renewed."""
        return self._fence is not None and self._fence.is_due(renewal_s)

    async def renew(self, outputs: Sequence[str]) -> None:
        """Rule renew_fence: the broker forgets a fence in time. Nothing is restored, for nothing came in between."""
        self.check()
        former, self._fence = self._fence, None
        if former is not None:
            await former.close()
        claim = await self.claim()
        if claim.offset != self.next_offset:
            raise LostError(f"{self}: the new claim stands at {claim.offset}, expected {self.next_offset}")
        await self.confirm(claim, outputs)

    @property
    def is_fenced(self) -> bool:
        """False before the claim, and for a moment while the fence is renewed."""
        return self._fence is not None

    async def close(self) -> None:
        """Ends the producer; may be called at any time, also while an append is on its way."""
        if self._fence is not None:
            await self._fence.close()

    # --- writing

    async def append_commit(self, batch: Batch, row_count: int) -> Appended:
        """One commit to the changelog."""
        begun_at = time.monotonic()
        appended = await self._append(self.changelog.topic, batch)
        # Rule check_base_offset: anything else in the log means another owner, and a restore would count it.
        if appended.offset != self.next_offset:
            raise LostError(f"{self}: the commit stands at {appended.offset}, expected {self.next_offset}")
        self.next_offset = appended.offset + row_count
        self._heard(appended, begun_at)
        return appended

    def _heard(self, appended: Appended, begun_at: float) -> None:
        self.acknowledged_ms, self._begun_at, self._acknowledged_at = appended.written_at, begun_at, time.monotonic()

    def now_ms(self) -> tuple[int, int]:
        """The broker's time now, at least and at most: what it last said, and what went by since it was told, or since
        it was asked, on a clock that never jumps."""
        now = time.monotonic()
        since_told, since_asked = now - self._acknowledged_at, now - self._begun_at
        return self.acknowledged_ms + int(since_told * 1000), self.acknowledged_ms + int(since_asked * 1000) + 1

    async def publish(self, outputs: Outputs) -> None:
        """When it returns, all of these are acknowledged."""
        await asyncio.gather(*(self._append(topic, batch) for topic, batch in outputs))
        now = time.monotonic()
        self._appended_at_by_output.update((topic, now) for topic, _ in outputs)

    async def append_fence(self, topic: str) -> None:
        """A fence record to our partition of an output."""
        await self._append(topic, one_batch([(FENCE_KEY, b"%d" % self.epoch)]))
        self._appended_at_by_output[topic] = time.monotonic()

    def quiet_outputs(self, now: float, quiet_s: float) -> list[str]:
        """Those to which nothing was appended for so long; the broker forgets idle producers."""
        return [topic for topic, at in self._appended_at_by_output.items() if now - at > quiet_s]

    async def _append(self, topic: str, batch: Batch) -> Appended:
        assert self._fence is not None
        self.check()
        return await self._fence.append(topic, self.changelog.partition, batch)
