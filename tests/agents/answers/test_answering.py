"""Who is behind a number, and the story of one account: asked of real workers, on a real Kafka."""

import contextlib
import os
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import pytest
from click.testing import CliRunner

from agents import main
from agents.checking import run_check
from agents.directory import ACCOUNTS, SNAPSHOTS, Directory, read_directory
from agents.live_snapshots import published_snapshots
from agents.pipeline import Workers
from agents.query_client import QueryClient
from agents.reading import read_topic
from agents.settings import Settings
from streams.answers import BehindCell
from streams.errors import UnavailableError, UsageError
from streams.partitioning import partition_of
from streams.snapshot import CanvasSnapshot, CohortSnapshot, FlowSnapshot
from streams.topics import topic_name
from streams.touchpoint import decode_touchpoint
from tests.agents.test_end_to_end import PATIENCE_S, generate, settings, wait
from tests.agents.test_metrics_server import TOKEN
from tests.oracles.brute import surviving

__all__ = ["settings"]  # the fixture
pytestmark = pytest.mark.broker
PARTITIONS = {0, 1, 2, 3}


def directory_of(settings: Settings, partitions: set[int], running: list[Workers]) -> Directory:
    """What workers say, when somebody has every one of these partitions, and each has some."""
    assert settings.bootstrap_servers is not None
    deadline = time.monotonic() + PATIENCE_S
    while True:
        directory = read_directory(settings.bootstrap_servers, settings)
        working = [each for each in directory.announcements.values() if each.role == ACCOUNTS and each.partitions]
        if all(directory.owner_of(partition) for partition in partitions) and len(working) == len(running):
            return directory
        for each in running:
            each.require_running()
        assert time.monotonic() < deadline, directory
        time.sleep(0.3)


def all_behind(client: QueryClient, analysis: str, cell: str) -> list[BehindCell]:
    """Every container behind a number, in small pages."""
    found: list[BehindCell] = []
    cursor = None
    while True:
        answer = client.cells(40, analysis=analysis, cell=cell, cursor=cursor)
        assert answer.missing == []
        found, cursor = found + answer.containers, answer.cursor
        if cursor is None:
            return found


def test_questions_are_answered_by_whoever_owns_the_account(settings: Settings, tmp_path: Path) -> None:
    """Two workers share the partitions: what all of them list adds up to the published numbers; one container's reasons
    lie in its story; the wrong owner names the right one; a worker that is gone is named as missing."""
    assert settings.bootstrap_servers is not None
    bootstrap = settings.bootstrap_servers
    settings = Settings(**{**settings.model_dump(), "metrics_token": TOKEN})
    completion = generate(settings)
    both = [
        settings.model_copy(update={"folder": tmp_path / name, "worker_id": name, "metrics_port": 0}) for name in "ab"
    ]
    first, second = (Workers(each, bootstrap, [["accounts"]]) for each in both)
    others = Workers(settings, bootstrap, [["ingest", "snapshots"]])
    try:
        for each in (first, second, others):
            each.start()
        wait(completion, settings, others)
        directory = directory_of(settings, PARTITIONS, [first, second])
        client = QueryClient(bootstrap, settings)
        require_sums(client, settings)
        require_story(client, settings)
        require_redirection(directory)
        require_other_days(directory, settings)
        require_values(client, settings)
        previewed = all_previewed(directory)
        require_put(directory, settings, previewed)
        require_token(directory, settings)
        os.kill(first.pids[0], signal.SIGSTOP)
        require_in_time(client, directory)
        os.kill(first.pids[0], signal.SIGKILL)
        require_missing(client, directory)
    finally:
        for each in (first, second, others):
            each.stop()


def require_sums(client: QueryClient, settings: Settings) -> None:
    """Of each kind of analysis some numbers, as they are published."""
    assert settings.bootstrap_servers is not None
    snapshots = next(published_snapshots(settings.bootstrap_servers, settings))
    canvas, cohort, flow = snapshots["lead-to-won"], snapshots["created-to-won"], snapshots["content-to-mql"]
    assert isinstance(canvas, CanvasSnapshot)
    assert isinstance(cohort, CohortSnapshot)
    assert isinstance(flow, FlowSnapshot)
    numbers: list[tuple[str, str, object]] = [
        ("lead-to-won", "*", canvas.body.total),
        ("lead-to-won", "won", canvas.body.nodes["won"].count),
        ("lead-to-won", "lead-form/fallout", canvas.body.nodes["lead-form"].fallout),
        ("lead-to-won", "opportunity>won", canvas.body.arrows["opportunity>won"].containers),
        *(("created-to-won", row.label, row.included) for row in cohort.body.rows[:2]),
        ("created-to-won", f"{cohort.body.rows[0].label}+1", cohort.body.rows[0].cells[1]),
        *(
            ("content-to-mql", f"{column.step}:{column.items[0].item}", column.items[0].count)
            for column in flow.body.columns
        ),
    ]
    for analysis, cell, number in numbers:
        assert sum(int(each.amount or 0) for each in all_behind(client, analysis, cell)) == number, (analysis, cell)
    assert len({str(number) for _, _, number in numbers}) > 5


def cli(settings: Settings, *arguments: str) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(main.cli, arguments, env=settings.as_environment(), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def require_story(client: QueryClient, settings: Settings) -> None:
    """From a number to an opportunity, to the touchpoint that made it count, to its story; on the command line too."""
    (row, *_) = client.cells(1, analysis="created-to-won", cell="2026-03").containers
    why = client.why(row.account, container=row.id, analysis="created-to-won", cell="2026-03")
    counted = why.touchpoints[-1].touchpoint
    story = client.story("opportunity", row.id or "", row.account)
    (told,) = [each for each in story.touchpoints if each.event_id == counted.event_id]
    assert "2026-03" in [milestone.period for milestone in told.milestones]
    whole = client.story("account", row.account, row.account, limit=1000)
    assert {each.event_id for each in story.touchpoints} <= {each.event_id for each in whole.touchpoints}
    assert [each.event_time for each in whole.touchpoints] == sorted(
        (each.event_time for each in whole.touchpoints), reverse=True
    )
    assert counted.type in cli(settings, "opportunity", row.id or "")
    assert row.account in cli(settings, "why", "created-to-won", "2026-03", "--limit", "3")
    assert counted.source in cli(settings, "why", "created-to-won", "2026-03", "--container", row.id or "")
    assert '"touchpoints"' in cli(settings, "account", row.account, "--limit", "2", "--format", "json")
    assert "milestone" in cli(settings, "account", row.account, "--after-milestone", "lead-to-won:opportunity")
    assert cli(settings, "why", "content-to-mql", "-1:blog")
    assert "1 here" in cli(settings, "why", "content-to-mql", "*", "--through", "-1=blog", "--limit", "1")
    with pytest.raises(UsageError, match="has no number"):
        client.cells(5, analysis="lead-to-won", cell="lost")


def raw(url: str, token: str | None, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
    """Status and answer or problem of one worker."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, body, {**headers, "Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        body = error.read()
        return error.code, msgspec.json.decode(body) if body.startswith(b"{") else {}


def require_redirection(directory: Directory) -> None:
    """Whoever does not own an account's partition says who does."""
    account = "some account"
    owner = directory.owner_of(partition_of(account.encode(), 4))
    other = next(url for url in directory.urls(4) if url != owner)
    status, problem = raw(f"{other}/v1/account/{quote(account)}/story", TOKEN)
    assert (status, problem["owner"]) == (421, owner)
    assert raw(f"{owner}/v1/account/{quote(account)}/story", TOKEN)[0] == 200


def require_other_days(directory: Directory, settings: Settings) -> None:
    """What the owner of `snapshots` answers is what the command prints; another worker names the owner."""
    owner = directory.owner_of(0, SNAPSHOTS)
    for name, days in (
        ("lead-to-won", "2026-02-01..2026-04-30"),
        ("created-to-won", "last 3 months"),
        ("content-to-mql", "2026-05-01.."),
    ):
        asked = f"/v1/snapshot?{urlencode({'analysis': name, 'range': days})}"
        status, snapshot = raw(f"{owner}{asked}", TOKEN)
        assert status == 200
        assert snapshot == msgspec.json.decode(cli(settings, "snapshot", name, "--range", days, "--format", "json"))
        status, problem = raw(f"{next(iter(directory.urls(4)))}{asked}", TOKEN)
        assert (status, problem["owner"]) == (421, owner)
    status, flow = raw(f"{owner}/v1/flow/through?analysis=content-to-mql&item=-1%3Dblog", TOKEN)
    assert status == 200
    assert flow == msgspec.json.decode(
        cli(settings, "snapshot", "content-to-mql", "--through", "-1=blog", "--format", "json")
    )


def require_values(client: QueryClient, settings: Settings) -> None:
    """As the touchpoints of the topic have them; under load a worker may come too late, so it is asked again."""
    assert settings.bootstrap_servers is not None
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    records = [record.value for record in read_topic(settings.bootstrap_servers, topic)]
    counts = Counter(each.channel for each in surviving(decode_touchpoint(value) for value in records if value))
    wanted = [each for each in counts.items() if each[0] is not None and each[0].startswith("e")]
    assert len(wanted) > 1
    deadline = time.monotonic() + PATIENCE_S
    while not (found := client.values(dimension="channel", starts="E")).is_complete:
        assert time.monotonic() < deadline, found
    assert found.values == sorted(wanted, key=lambda each: (-each[1], each[0]))


TYPES = {"name": "types", "kind": "flow", "container": "account", "dimension": "type", "columns": 3}


def all_previewed(directory: Directory) -> int:
    """How many paths each worker sees in all its accounts, before anybody has defined them, together."""
    body = msgspec.json.encode({"version": 1, "analyses": [TYPES]})
    deadline = time.monotonic() + PATIENCE_S
    total = 0
    for url in directory.urls(4):
        assert raw(f"{url}/v1/preview", None, "POST", body)[0] == 401
        while True:
            status, some = raw(f"{url}/v1/preview?sample=20", TOKEN, "POST", body)
            assert (status, some["is_sample"]) == (200, True)
            status, found = raw(f"{url}/v1/preview?sample=1000", TOKEN, "POST", body)
            if not found["is_sample"]:
                break
            assert time.monotonic() < deadline  # a busy machine
        assert some["sampled"] <= 20 < found["sampled"] == found["total"]
        total += found["snapshot"]["body"]["total"]
    return total


def require_put(directory: Directory, settings: Settings, previewed: int) -> None:
    """Any worker takes a definition, with the token; it is counted by all of them, as the batch computation has it and
    as the previews had."""
    urls = [*directory.urls(4), directory.owner_of(0, SNAPSHOTS)]

    def put(number: int, replaces: str | None, token: str | None = TOKEN, **changes: object) -> tuple[int, Any]:
        query = "" if replaces is None else f"?replaces={replaces}"
        body = msgspec.json.encode({"version": 1, "analyses": [{**TYPES, **changes}]})
        return raw(f"{urls[number]}/v1/definitions/types{query}", token, "PUT", body)

    assert put(0, None, token=None)[0] == 401
    status, first = put(0, None, columns=2)
    assert (status, first["replaced"], first["is_changed"]) == (200, None, True)
    status, second = put(1, first["version"])
    assert (status, second["replaced"]) == (200, first["version"])
    status, problem = put(2, first["version"], columns=4)
    assert (status, problem["version"]) == (409, second["version"])
    assert settings.bootstrap_servers is not None
    deadline = time.monotonic() + PATIENCE_S
    for snapshots in published_snapshots(settings.bootstrap_servers, settings):
        if "types" in snapshots and snapshots["types"].version == second["version"]:
            assert isinstance(snapshots["types"], FlowSnapshot)
            assert snapshots["types"].body.total == previewed
            break
        assert time.monotonic() < deadline
    report = run_check(settings.bootstrap_servers, settings)
    assert "types" in [each.analysis for each in report.analyses]
    assert report.difference_count == 0, report


def require_token(directory: Directory, settings: Settings) -> None:
    """Without the token nothing is answered, and the client says what to set."""
    assert raw(f"{next(iter(directory.urls(4)))}/v1/search?q=a", None)[0] == 401
    assert settings.bootstrap_servers is not None
    client = QueryClient(settings.bootstrap_servers, Settings(**{**settings.model_dump(), "metrics_token": None}))
    with pytest.raises(UnavailableError, match="MILEPOST_METRICS_TOKEN"):
        client.search(q="a")


def require_in_time(client: QueryClient, directory: Directory) -> None:
    """Values are not waited for longer than for 0.3 s, give or take what a busy machine adds."""
    gone = directory.announcements["a"]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        began = time.monotonic()
        with contextlib.suppress(UnavailableError):  # the other one is too late as well
            found = client.values(dimension="type")
            assert set(map(int, gone.partitions)) <= set(found.missing)
            assert not found.is_complete
            if found.missing == sorted(map(int, gone.partitions)):
                assert time.monotonic() - began < 2
                return
        assert time.monotonic() < deadline


def require_missing(client: QueryClient, directory: Directory) -> None:
    """The rest is answered in time."""
    gone = directory.announcements["a"]
    began = time.monotonic()
    answer = client.cells(5, analysis="lead-to-won", cell="*")
    assert answer.missing == sorted(map(int, gone.partitions))
    assert len(answer.containers) == 5
    assert time.monotonic() - began < 5
