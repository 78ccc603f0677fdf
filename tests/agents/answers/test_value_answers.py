"""Values of a dimension over HTTP: of one worker, and of several as one."""

from typing import Any

import pytest

from agents import query_client
from agents.directory import Announcement, Directory
from agents.metrics_server import Listening, serve_metrics
from agents.query_client import QueryClient
from agents.settings import Settings
from tests.agents.answers.asking import asked_of, queries_of
from tests.agents.answers.test_queries import ARRIVED, DEFINITIONS, PARTITIONS, stores_of
from tests.state.worlds import START, touchpoint

ask_all = asked_of(queries_of(lambda: (0, DEFINITIONS), lambda: STORES, PARTITIONS))
STORES = stores_of([
    *ARRIVED,
    *(touchpoint(f"{n}c", START, channel=f"Web {n % 3}", account=f"account/{n}", attributes={"seats": n % 2})
      for n in range(20)),
])  # fmt: skip


def test_values_come_with_how_many_touchpoints_have_them() -> None:
    """Of all partitions together, the most frequent first; whatever the case, and of attributes too."""
    status, found = ask_all("/v1/values", dimension="type", starts="a")
    assert (status, found["values"], found["is_cut"]) == (200, [["A", 29]], False)
    assert (found["looked_at"], found["is_complete"], set(found["applied"])) == (35, True, {"0", "1", "2", "3"})
    assert ask_all("/v1/values", dimension="channel")[1]["values"] == [["Web 0", 7], ["Web 1", 7], ["Web 2", 6]]
    found = ask_all("/v1/values", dimension="channel", starts="wEB ", limit=2)[1]
    assert (found["values"], found["is_cut"]) == ([["Web 0", 7], ["Web 1", 7]], True)
    assert ask_all("/v1/values", dimension="attributes.seats")[1]["values"] == [["0", 10], ["1", 10]]
    assert ask_all("/v1/values", dimension="campaign")[1]["values"] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "dimension is missing"),
        ({"dimension": "person"}, "'person' is no dimension; take one of type, source"),
        ({"dimension": "type", "limit": "1001"}, "from 1 to 1000"),
        ({"dimension": "type", "ends": "a"}, "no parameter ends"),
    ],
)
def test_what_is_no_dimension_is_a_problem(query: dict[str, Any], said: str) -> None:
    """With those that there are."""
    status, problem = ask_all("/v1/values", **query)
    assert status == 400
    assert said in problem["detail"]


def client_of(monkeypatch: pytest.MonkeyPatch, workers: list[dict[int, Any]]) -> QueryClient:
    """A client of workers that own these stores, each on a port of its own."""
    announced = {}
    for number, stores in enumerate(workers):
        queries = queries_of(lambda: (0, DEFINITIONS), lambda stores=stores: stores, PARTITIONS)
        port = serve_metrics(Listening("127.0.0.1", 0, None), queries)
        partitions = {str(partition): number for partition in stores}
        announced[str(number)] = Announcement(1, f"http://127.0.0.1:{port}", "accounts", partitions)
    monkeypatch.setattr(query_client, "read_directory", lambda *_: Directory(announced))
    monkeypatch.setattr(query_client, "end_offsets", lambda *_: dict.fromkeys(range(PARTITIONS), 0))
    monkeypatch.setattr(query_client, "ASK_VALUES_S", 20.0)  # of this machine under load nothing is promised
    return QueryClient("", Settings(bootstrap_servers="nowhere:1"))


def test_workers_values_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns what, all workers together say what one that owns everything says."""
    client = client_of(monkeypatch, [{0: STORES[0], 3: STORES[3]}, {1: STORES[1], 2: STORES[2]}])
    found = client.values(dimension="channel", starts="web")
    assert found.values == [("Web 0", 7), ("Web 1", 7), ("Web 2", 6)]
    assert (found.is_cut, found.is_complete, found.looked_at, found.missing) == (False, True, 35, [])
    cut = client.values(limit=2, dimension="channel")
    assert (cut.values, cut.is_cut, cut.is_complete) == ([("Web 0", 7), ("Web 1", 7)], True, True)


def test_what_a_worker_cut_off_may_have_been_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the counts are not said to be exact; neither where a partition is missing."""
    monkeypatch.setattr(query_client, "VALUE_COUNT_MAX", 1)
    client = client_of(monkeypatch, [STORES])
    found = client.values(dimension="channel")
    assert (found.values, found.is_cut, found.is_complete) == ([("Web 0", 7)], True, False)
    client = client_of(monkeypatch, [{0: STORES[0]}])
    found = client.values(dimension="type", starts="b")
    assert (found.missing, found.is_complete) == ([1, 2, 3], False)
