"""A trial finds in whom a partition has in that had the audience from the beginning, and tells the same changes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from state.audience_trial import AudienceTrial
from state.rows import parts_of
from streams.membership import MembershipChange, decode_change, membership_key
from streams.touchpoint import Touchpoint
from tests.oracles.audiences import Who
from tests.state.audience_worlds import audience_definition, audiences, members_in, with_audiences
from tests.state.memory_store import MemoryStore
from tests.state.partitions import Partition
from tests.state.test_accounts import CUTS, WORLDS, split
from tests.state.test_milestone_trial import records
from tests.state.worlds import DAY, START


@settings(max_examples=30)
@given(st.data(), WORLDS, CUTS, st.integers(0, 30))
def test_differential_a_trial_tells_what_a_partition_tells(
    data: st.DataObject, arrived: list[Touchpoint], cuts: list[int], days: int
) -> None:
    """Behind the last batch, and when time has gone on."""
    made = audience_definition(data.draw(audiences()))
    store = MemoryStore()
    trial, partition = AudienceTrial([made], store, store.apply), Partition(with_audiences(made))
    told: dict[bytes, MembershipChange] = {}
    for number, batch in enumerate(split(arrived, cuts)):
        partition.clock_ms = START + number * days * DAY
        partition.take(batch)
        partition.rest()
        changes = [decode_change(value or b"") for _, value in trial.take(records(batch), partition.clock_ms)]
        told.update((membership_key(each), each) for each in changes)
    partition.clock_ms += 100 * DAY
    partition.rest()
    changes = [decode_change(value or b"") for _, value in trial.rest(partition.clock_ms)]
    told.update((membership_key(each), each) for each in changes)
    assert told == partition.memberships
    found = (parts_of(at) for at, _ in trial.members("it"))
    assert {Who(account.decode(), id_.decode() or None) for account, _, id_ in found} == members_in(partition, "it")
