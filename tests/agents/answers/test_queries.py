"""Questions over HTTP: what is answered, what is refused and in which words, and that reading disturbs nobody."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from agents.answers import queries as queries_module
from agents.answers.request import Parameters, ProblemError, number_asked
from agents.directory import Announcement, Directory
from agents.metrics_server import Listening, serve_metrics, url_of
from agents.snapshots import Schedule
from state.accounts import Accounts
from state.accounts_stage import OUTPUT_NAMES, AccountsStage
from state.definition_set import DefinitionSet
from state.store import RocksStore
from streams.errors import LostError
from streams.partitioning import partition_of
from streams.protocol_rows import COMMIT_KEY, CommitRow, Input, encode_commit
from streams.store import Position
from streams.touchpoint import Touchpoint
from tests.agents.answers.asking import asked_of, queries_of
from tests.agents.snapshot_worlds import commit
from tests.agents.test_metrics_server import TOKEN, get
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import DAY, START, Record, definition_set, touchpoint

PARTITIONS = 4
DEFINITIONS = definition_set(
    [
        {"name": "c", "kind": "canvas", "container": "opportunity", "metric": "value",
         "nodes": [{"id": t, "match": {"field": "type", "op": "=", "value": t.upper()}} for t in "ab"],
         "arrows": [{"from": "a", "to": "b", "within": "2d"}]},
        {"name": "f", "kind": "flow", "container": "account", "dimension": "type", "count": "containers"},
    ]
)  # fmt: skip


class ReadableMemory(MemoryStore):
    """Rows in memory that are read in place."""

    @contextmanager
    def reading(self) -> Iterator[MemoryStore]:
        yield self


def commit_row(offset: int, definitions: DefinitionSet = DEFINITIONS) -> tuple[bytes, bytes]:
    """What a commit behind the touchpoint at this offset says of itself."""
    return COMMIT_KEY, encode_commit(CommitRow(1, {"touchpoints": Input(offset, "id")}, START, definitions.hash, b""))


def stores_of(arrived: list[Touchpoint]) -> dict[int, ReadableMemory]:
    """All partitions, with these applied."""
    stores = {number: ReadableMemory() for number in range(PARTITIONS)}
    layers = layers_of(DEFINITIONS)
    for each in arrived:
        store = stores[partition_of(each.account.encode(), PARTITIONS)]
        store.apply(Accounts(layers, store).compute([Record(each)]).rows)
    for number, store in stores.items():
        store.apply([commit_row(number)])
    return stores


ACCOUNTS = [f"account/{n} ä" for n in range(9)]
ARRIVED = [
    touchpoint(
        f"{n}{type_}", START + at * DAY, type_, account=account, opportunity=f"o{n}", person="jo", value=1_500_000
    )
    for n, account in enumerate(ACCOUNTS)
    for at, type_ in enumerate("AB" if n % 3 else "A")
]  # fmt: skip


def asker(stores: Mapping[int, Any], owner_of: Any = lambda _: None) -> Any:
    """Asks a worker that owns these; gives (status, body)."""
    return asked_of(queries_of(lambda: (0, DEFINITIONS), lambda: stores, PARTITIONS, owner_of))


def test_a_moving_number_is_asked_for_with_its_days() -> None:
    """Clocks of partitions differ, so the snapshot says which days; without them the question is refused."""
    plain = {"kind": "flow", "container": "account", "dimension": "type", "last": "30 days"}
    moving = definition_set([{"name": "m", **plain}])
    with pytest.raises(ProblemError, match="covers the last 30 days; the snapshot says which"):
        number_asked(Parameters("analysis=m&cell=*"), moving, bool)
    asked = number_asked(Parameters("analysis=m&cell=*&range=2026-01-01..2026-01-30"), moving, bool)
    assert (asked.days, asked.dates) == ((20454, 20483), ("2026-01-01", "2026-01-30"))


PATHS = ["cells", "why", "search", "values", "snapshot", "flow/through", "person/x/story", "account/x/story"]
NAMES = [
    "dimension", "starts", "item", "f", "v", "q", "kind", "analysis", "cell", "range", "clock_ms", "account",
    "container", "cursor", "before", "limit", "side", "milestone",
]  # fmt: skip
VALUES = ["c", "f", "a", "0:A", "0=A", "type", "2026-01-01..2026-01-02", "last 2 days", "AAAA"]
STORES = stores_of(ARRIVED)
SUMS = Schedule(lambda: (0, DEFINITIONS), touchpoints="touchpoints", claim_offset=1, interval_s=1, lateness_ms=0)
SUMS.apply(0, list(commit(7, {("c", ("t", 19_675)): 9}, DEFINITIONS)), 0.0)
SUMS.is_caught_up = True
ask_all = asker(STORES)


def test_a_story_comes_in_pages() -> None:
    """Of an account whose name has a slash; the answer says what it contains."""
    path = f"/v1/account/{ACCOUNTS[1]}/story"
    status, first = ask_all(path, limit=1)
    assert (status, [t["type"] for t in first["touchpoints"]]) == (200, ["B"])
    status, second = ask_all(path, limit=1, before=first["before"])
    assert (status, [t["type"] for t in second["touchpoints"]], second["before"]) == (200, ["A"], None)
    assert second["touchpoints"][0]["milestones"] == [{"analysis": "c", "kind": "opportunity", "id": "o1", "node": "a"}]
    partition = partition_of(ACCOUNTS[1].encode(), PARTITIONS)
    assert (first["applied"], first["clock_ms"]) == ({str(partition): partition}, START)


def test_a_story_of_what_lies_under_an_account() -> None:
    """With filters and a milestone, of an opportunity."""
    path = "/v1/opportunity/o1/story"
    of = {"account": ACCOUNTS[1]}
    assert len(ask_all(path, **of)[1]["touchpoints"]) == 2
    assert [t["type"] for t in ask_all(path, **of, types=["A", "X"])[1]["touchpoints"]] == ["A"]
    assert ask_all(path, **of, people="jo", channels="none")[1]["touchpoints"] == []
    after = ask_all(path, **of, milestone="c:b", side="after")[1]["touchpoints"]
    before = ask_all(path, **of, milestone="c:a>b", side="before")[1]["touchpoints"]
    assert ([t["type"] for t in after], [t["type"] for t in before]) == (["B"], ["A"])


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_the_containers_behind_a_number_come_page_by_page(limit: int) -> None:
    """Of all partitions in one order, each once, with amounts as text."""
    found, cursor = [], None
    while True:
        query = {"analysis": "c", "cell": "b", "limit": limit} | ({} if cursor is None else {"cursor": cursor})
        status, page = ask_all("/v1/cells", **query)
        assert status == 200
        assert set(page["applied"]) == {"0", "1", "2", "3"}
        found += [(each["account"], each["kind"], each["id"], each["amount"]) for each in page["containers"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == [(a, "opportunity", f"o{n}", "1.5") for n, a in enumerate(ACCOUNTS) if n % 3]


def test_a_range_selects_containers_by_their_days() -> None:
    """As in a snapshot."""
    query = {"analysis": "c", "cell": "a", "v": "c"}
    assert len(ask_all("/v1/cells", **query, range="2023-11-14..2023-11-14")[1]["containers"]) == 9
    assert ask_all("/v1/cells", **query, range="2023-11-15..2023-11-16")[1]["containers"] == []


def test_a_number_of_what_is_over_is_asked_for_with_its_clock() -> None:
    """That of the snapshot which shows it: 2 days behind the last arrival, at the next full hour, time is over."""
    query = {"analysis": "c", "cell": "a/final-fallout"}
    status, problem = ask_all("/v1/cells", **query)
    assert (status, "give clock_ms, as the snapshot has it" in problem["detail"]) == (400, True)
    for days, count in ((1, 0), (3, 3)):
        assert len(ask_all("/v1/cells", **query, clock_ms=START + days * DAY)[1]["containers"]) == count
    why = ask_all("/v1/why", **query, clock_ms=START + 3 * DAY, account=ACCOUNTS[1], container="o1")[1]
    assert [each["amount"] for each in why["touchpoints"]] == [1, -1]


def test_why_one_container_counts() -> None:
    """The touchpoint at which it came to; where there are more than asked for, it says so."""
    query = {"analysis": "f", "cell": "0:A", "account": ACCOUNTS[1]}
    status, why = ask_all("/v1/why", **query)
    assert (status, why["kind"], why["id"], why["is_cut"]) == (200, "account", None, False)
    assert [(c["amount"], c["touchpoint"]["type"]) for c in why["touchpoints"]] == [(1, "A")]
    of = {"account": ACCOUNTS[1], "container": "o1"}
    assert ask_all("/v1/why", analysis="c", cell="b", **of)[1]["touchpoints"][0]["amount"] == "1.5"
    fallout = ask_all("/v1/why", analysis="c", cell="a/fallout", **of, limit=1)[1]
    assert (len(fallout["touchpoints"]), fallout["is_cut"]) == (1, True)


def test_names_are_found() -> None:
    """Accounts by how they begin; an opportunity by its row, a person, who has none, by the events."""
    accounts = ask_all("/v1/search", q="account/", limit=3)[1]
    assert [found["account"] for found in accounts["found"]] == ACCOUNTS[:3]
    assert ask_all("/v1/search", q="b")[1]["found"] == []
    opportunity = ask_all("/v1/search", kind="opportunity", q="o3")[1]
    assert opportunity["found"] == [{"kind": "opportunity", "account": ACCOUNTS[3], "id": "o3"}]
    people = ask_all("/v1/search", kind="person", q="jo", limit=500)[1]
    assert ([found["account"] for found in people["found"]], people["is_complete"]) == (ACCOUNTS, True)


def test_a_search_says_when_its_time_was_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it found until then is still given."""
    monkeypatch.setattr(queries_module, "LOOK_UP_S", -1.0)
    monkeypatch.setattr("state.search._ROWS_PER_LOOK", 1)
    people = ask_all("/v1/search", kind="person", q="jo", limit=500)[1]
    assert not people["is_complete"]
    assert 0 < len(people["found"]) < 9


STORY = f"/v1/account/{ACCOUNTS[1]}/story"


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("/v1/", {}, 404, "/v1/cells"),
        ("/v1/account/story", {}, 404, "/v1/cells"),
        ("/v1/account//story", {}, 404, "/v1/cells"),
        ("/v1/planet/x/story", {}, 404, "containers are account"),
        ("/v1/person/jo/story", {}, 400, "account is missing"),
        (STORY, {"limit": "0"}, 400, "from 1 to 1000"),
        (STORY, {"limit": "9" * 5000}, 400, "from 1 to 1000"),
        (STORY, {"limit": "\u0663"}, 400, "from 1 to 1000"),
        (STORY, {"limit": ["1", "2"]}, 400, "2 times"),
        (STORY, {"before": "*"}, 400, "no cursor"),
        (STORY, {"side": "beside"}, 400, "before or after"),
        (STORY, {"milestone": "c:x"}, 400, "has no node"),
        (STORY, {"limits": "1"}, 400, "no parameter limits"),
        (STORY, {"types": ["a"] * 300}, 400, "can not be read"),
        (STORY, {"types": "a" * 70_000}, 400, "can not be read"),
        ("/v1/cells", {}, 400, "analysis is missing"),
        ("/v1/cells", {"analysis": "c"}, 400, "cell is missing"),
        ("/v1/cells", {"analysis": "x", "cell": "a"}, 404, "there are c, f"),
        ("/v1/cells", {"analysis": "c", "cell": "a", "v": "old"}, 404, "version c"),
        ("/v1/cells", {"analysis": "c", "cell": "x"}, 400, "has no number"),
        ("/v1/cells", {"analysis": "c", "cell": "a", "clock_ms": "now"}, 400, "from 1 to 7258118400000"),
        ("/v1/cells", {"analysis": "c", "cell": "a", "range": "2026"}, 400, "range"),
        ("/v1/cells", {"analysis": "f", "cell": "*", "range": "2026-01-01..2026-01-02"}, 400, "distinct"),
        ("/v1/cells", {"analysis": "f", "cell": "*", "range": "last 3 days"}, 400, "write it as 2026-01-01"),
        ("/v1/why", {"analysis": "c", "cell": "a", "account": "x"}, 400, "container is missing"),
        ("/v1/search", {}, 400, "q is missing"),
        ("/v1/search", {"q": "x", "kind": "planet"}, 400, "one of account"),
    ],
)  # fmt: skip
def test_a_question_that_can_not_be_answered_is_a_problem(
    path: str, query: dict[str, Any], status: int, said: str
) -> None:
    """In RFC 9457's form, with what was found and what is right."""
    found, problem = ask_all(path, **query)
    assert (found, problem["status"]) == (status, status)
    assert said in problem["detail"]
    assert len(problem["detail"]) < 1000


@settings(max_examples=60)
@given(
    st.one_of(st.text(max_size=30), st.sampled_from(PATHS)),
    st.one_of(
        st.text(max_size=60),
        st.dictionaries(
            st.sampled_from(NAMES),
            st.one_of(
                st.text(max_size=20),
                st.sampled_from(VALUES),
            ),
        ).map(urlencode),
    ),
)
def test_whatever_is_asked_is_answered_or_refused(path: str, query: str) -> None:
    """Never with a defect, and in few words."""
    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": f"/v1/{path}".encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": query,
    }  # fmt: skip
    application = queries_of(lambda: (0, DEFINITIONS), lambda: STORES, PARTITIONS, standing=lambda: SUMS)
    body = b"".join(application(environ, lambda status, _: told.append(status)))
    assert told[0][:3] in ("200", "400", "404"), (told, body)
    assert len(body) < 20_000


def test_only_get_is_answered() -> None:
    """Nothing of these changes anything."""
    assert ask_all(STORY, "POST")[0] == ask_all("/v1/cells", "PUT")[0] == ask_all("/v1/cells", "HEAD")[0] == 405


def test_the_wrong_owner_names_the_right_one() -> None:
    """As a problem with a field of its own; where nobody is known, one may ask again."""
    ask = asker({}, lambda partition: f"http://worker-{partition}:1")
    status, problem = ask(STORY)
    partition = partition_of(ACCOUNTS[1].encode(), PARTITIONS)
    assert (status, problem["owner"]) == (421, f"http://worker-{partition}:1")
    assert asker({})(STORY)[0] == 503
    assert ask("/v1/cells", analysis="c", cell="a")[1]["applied"] == {}


class Lost:
    """A store that is closed while it is read."""

    @contextmanager
    def reading(self) -> Iterator[Any]:
        raise LostError("the partition was given up")
        yield


class Broken:
    """A store with a defect."""

    @contextmanager
    def reading(self) -> Iterator[Any]:
        raise KeyError("a secret of ours")
        yield


def test_what_can_not_be_read_now_is_said_so() -> None:
    """A partition that is given up, has no commit yet or does not count all accounts; a defect tells nothing."""
    everything = dict.fromkeys(range(PARTITIONS))
    assert asker(dict.fromkeys(everything, Lost()))(STORY)[0] == 503
    assert asker(dict.fromkeys(everything, ReadableMemory()))(STORY)[0] == 503
    moving = ReadableMemory()
    others = definition_set([{"name": "z", "kind": "flow", "container": "account", "dimension": "type"}])
    moving.apply(AccountsStage(lambda: (0, others), OUTPUT_NAMES, moving).idle(0).rows)
    moving.apply([commit_row(1)])
    ask = asker(dict.fromkeys(everything, moving))
    status, problem = ask("/v1/cells", analysis=DEFINITIONS.definitions[0].analysis.name, cell="*")
    assert (status, "does not count all accounts yet" in problem["detail"]) == (503, True)
    status, problem = asker(dict.fromkeys(everything, Broken()))(STORY)
    assert status == 500
    assert "secret" not in str(problem)


def test_many_questions_at_once_wait_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that they do not take the processor from what applies events."""
    monkeypatch.setattr(queries_module, "WAIT_S_MAX", 0.05)
    inside, may_go_on = threading.Semaphore(0), threading.Event()

    class Slow(ReadableMemory):
        @contextmanager
        def reading(self) -> Iterator[MemoryStore]:
            inside.release()
            may_go_on.wait(30)
            yield self

    slow = Slow()
    slow.apply([commit_row(1)])
    ask = asker(dict.fromkeys(range(PARTITIONS), slow))
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(STORY)[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert inside.acquire(timeout=30)
    assert ask(STORY)[0] == 503
    may_go_on.set()
    for thread in threads:
        thread.join(30)
    assert answers == [200, 200]


def test_answers_lie_behind_the_token_and_beside_the_metrics(tmp_path: Path) -> None:
    """On one port, from RocksDB; without the token nobody learns of a name."""
    store = RocksStore(tmp_path / "rows")
    memory = stores_of(ARRIVED)[partition_of(ACCOUNTS[1].encode(), PARTITIONS)]
    store.write(memory.rows.items(), Position(1, 0, 0, "id", 0), None)
    application = queries_of(lambda: (0, DEFINITIONS), lambda: dict.fromkeys(range(PARTITIONS), store), PARTITIONS)
    listening = Listening("127.0.0.1", 0, SecretStr(TOKEN))
    port = serve_metrics(listening, application)
    path = f"/v1/account/{quote(ACCOUNTS[1], safe='')}/story"
    assert get(port, path)[0] == 401
    status, body = get(port, path, Authorization=f"Bearer {TOKEN}")
    assert (status, len(msgspec.json.decode(body)["touchpoints"])) == (200, 2)
    assert get(port, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert url_of(listening, port) == f"http://127.0.0.1:{port}"
    store.close()


@pytest.mark.parametrize(
    ("host", "url"), [("::1", "http://[::1]:7"), ("worker-1", "http://worker-1:7"), ("10.0.0.1", "http://10.0.0.1:7")]
)
def test_a_worker_s_address_is_one_that_others_can_use(host: str, url: str) -> None:
    """An address of all interfaces stands for the machine's name."""
    assert url_of(Listening(host, 7, None), 7) == url
    assert "0.0.0.0" not in url_of(Listening("0.0.0.0", 7, None), 7)


def test_of_two_who_claim_a_partition_the_later_one_has_it() -> None:
    """A worker that was killed still stands in the directory."""
    killed = Announcement(1, "http://killed", "accounts", {"0": 5, "1": 9})
    living = Announcement(1, "http://living", "accounts", {"0": 8, "2": 1})
    directory = Directory({"a": killed, "b": living})
    assert [directory.owner_of(partition) for partition in range(4)] == [
        "http://living", "http://killed", "http://living", None
    ]  # fmt: skip
    assert directory.urls(4) == {"http://living": [0, 2], "http://killed": [1]}
