"""What commands send: in order, whole, or said not to be; on a real broker."""

from collections.abc import Iterator

import pytest

from agents import sending
from agents.reading import read_topic
from agents.sending import Outgoing, send_all
from streams.broker import EmbeddedBroker, free_ports
from streams.errors import UnavailableError, UsageError
from tests.streams.toy import Names, make_topics

pytestmark = pytest.mark.broker


@pytest.fixture
def names(kafka: EmbeddedBroker, prefix: str) -> Names:
    return make_topics(kafka.bootstrap_servers, prefix)


def test_records_are_there_in_their_order(kafka: EmbeddedBroker, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when there are more than may wait for their answers."""
    monkeypatch.setattr(sending, "_WAITING_MAX", 10)
    sent = [b"%d" % number for number in range(100)]
    send_all(kafka.bootstrap_servers, (Outgoing(names.source, b"k", each, 0, [("h", b"1")]) for each in sent))
    found = list(read_topic(kafka.bootstrap_servers, names.source))
    assert [(each.partition, each.key, each.value, each.headers) for each in found] == [
        (0, b"k", each, [("h", b"1")]) for each in sent
    ]


def test_what_came_before_an_error_of_the_caller_is_sent(kafka: EmbeddedBroker, names: Names) -> None:
    """The error is told as it is."""

    def records() -> Iterator[Outgoing]:
        yield Outgoing(names.source, b"k", b"1", 0)
        raise UsageError("the second is wrong")

    with pytest.raises(UsageError, match="second"):
        send_all(kafka.bootstrap_servers, records())
    assert [each.value for each in read_topic(kafka.bootstrap_servers, names.source)] == [b"1"]


def test_what_kafka_does_not_take_is_told(kafka: EmbeddedBroker, names: Names) -> None:
    """A record larger than a producer may send."""
    with pytest.raises(UnavailableError, match="did not take all"):
        send_all(kafka.bootstrap_servers, [Outgoing(names.source, b"k", bytes(2**21), 0)])


def test_no_kafka_is_told() -> None:
    """Nothing listens there."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(UnavailableError, match=address):
        send_all(address, [Outgoing("t", b"k", b"v")])
