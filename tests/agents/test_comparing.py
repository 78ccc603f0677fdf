"""`milepost snapshot NAME --compare A B` as a user runs it, on a real broker."""

import json

import pytest
from kafka import KafkaProducer

from agents.reading import read_definitions
from agents.settings import Settings
from state.definition_set import DefinitionSet, publications
from state.definitions import DefinitionFile
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.errors import UnavailableError, UsageError
from streams.topics import topic_name
from tests.agents.snapshot_worlds import MARCH, commit, match
from tests.agents.test_snapshots import milepost, send


@pytest.mark.broker
def test_two_rows_are_compared_from_partials(kafka: EmbeddedBroker, prefix: str) -> None:
    """Over all partitions, of all days or a range; as a picture and as JSON. What does not go together is said."""
    settings = Settings(bootstrap_servers=kafka.bootstrap_servers, prefix=prefix, partitions=2)
    create_topics(kafka.bootstrap_servers, prefix, 0, 2, 1)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, linger_ms=5)
    cohort = {"name": "months", "kind": "cohort", "container": "account", "granularity": "month", "velocity": True,
              "inclusion": {"match": match("a")}, "return": {"match": match("b")}, "periods": 3}  # fmt: skip
    records, _ = publications(DefinitionFile.model_validate({"version": 1, "analyses": [cohort]}), DefinitionSet(()), 0)
    send(producer, topic_name("definitions", prefix, 0), [(b"months", records["months"] or b"")])
    definitions = read_definitions(kafka.bootstrap_servers, settings)
    (definition,) = definitions.definitions
    cells = {("i", MARCH - 6): 35, ("v", MARCH - 6, 0, 30): 28, ("i", MARCH - 5): 40, ("v", MARCH - 5, 1, 90): 24}
    with pytest.raises(UnavailableError, match="no result yet"):
        milepost(settings, "months", "--compare", "2025-09", "2025-10")
    for partition in (0, 1):
        made = commit(7, {(definition.version, cell): n for cell, n in cells.items()}, definitions)
        send(producer, topic_name("partials", prefix, 0), made, partition)
    found = json.loads(milepost(settings, "months", "--compare", "2025-09", "2025-10", "--format", "json"))
    assert (found["first"]["returned"], found["second"]["included"], found["periods"]) == (56, 80, 3)
    assert found["difference_interval"] == [5.24, 33.39]
    assert "correlates with" in milepost(settings, "months", "--compare", "2025-09", "2025-10", "--within", "0")
    with pytest.raises(UsageError, match="no row '2025-10'; there are 2025-09"):
        milepost(settings, "months", "--compare", "2025-09", "2025-10", "--range", "2025-09-01..2025-09-30")
    for wrong in (["--compare", "a", "b"], ["months", "--compare", "a", "b", "--watch"]):
        with pytest.raises(UsageError, match="--compare takes the NAME of a cohort"):
            milepost(settings, *wrong)
    with pytest.raises(UsageError, match="--within says how far --compare looks"):
        milepost(settings, "months", "--within", "1")
    producer.close()
