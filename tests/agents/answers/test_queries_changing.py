"""Questions while definitions change: they are answered for the version that readers see."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from agents import live_snapshots
from agents.commands import why as why_module
from agents.live_snapshots import Published
from agents.settings import Settings
from state import moving
from state.definition_set import Definition, DefinitionSet
from streams.answers import CellsAnswer
from tests.agents.answers.asking import asked_of, queries_of
from tests.agents.answers.test_queries import commit_row
from tests.state.memory_store import MemoryStore
from tests.state.partitions import Partition
from tests.state.worlds import DAY, START, definition_set, touchpoint

FLOW = {"kind": "flow", "container": "account", "dimension": "type"}
FORMER = definition_set([{"name": "path", **FLOW}]).definitions[0]
NEW = Definition("new", FORMER.zone, FORMER.week_start, FORMER.tzdata, FORMER.analysis)
CHANGED = DefinitionSet((NEW,), (FORMER,))
ACCOUNTS = ["acme", "brit", "cara"]
ARRIVED = [touchpoint(f"{n}", START + n * DAY, "A", account=account) for n, account in enumerate(ACCOUNTS)]
SETTINGS = Settings(bootstrap_servers="nowhere:1")
CELLS = {"analysis": "path", "cell": "0:A"}


class Answering(Partition):
    """A partition whose worker answers."""

    def __init__(self, definitions: DefinitionSet) -> None:
        super().__init__(definitions)
        self.store.apply([commit_row(0, definitions)])
        self.ask = asked_of(queries_of(lambda: (self.offset, self.definitions), self._owned))

    def _owned(self) -> dict[int, Any]:
        return {0: self}

    @contextmanager
    def reading(self) -> Iterator[MemoryStore]:
        """The rows in place."""
        yield self.store

    def versions(self, **query: str) -> tuple[Any, Any]:
        """Of which version the containers behind a number are, and why one of them counts; or the problem's status."""
        status, cells = self.ask("/v1/cells", **CELLS, **query)
        why_status, why = self.ask("/v1/why", **CELLS, account="brit", **query)
        if status == 200:
            assert [each["account"] for each in cells["containers"]] == ACCOUNTS
            assert len(why["touchpoints"]) == 1
        return cells.get("version", status), why.get("version", why_status)


@pytest.fixture
def partition(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """The former version counts three accounts, which move one by one."""
    monkeypatch.setattr(moving, "SLICE_TOUCHPOINTS", 1)
    made = Answering(DefinitionSet((FORMER,)))
    made.take(ARRIVED)
    return made


def test_the_version_on_screen_is_asked_for_while_its_successor_is_counted(partition: Answering) -> None:
    """Before the partition knows of the change, at every step of it, and behind it until readers have gone over."""
    partition.define(CHANGED)
    steps = 0
    while True:
        assert partition.versions() == partition.versions(v="path") == ("path", "path")
        is_complete = NEW.version in partition.in_force()
        assert partition.versions(v="new") == (("new", "new") if is_complete else (503, 503))
        steps += 1
        if not partition.chore():
            break
    assert is_complete
    assert steps > 3
    partition.define(DefinitionSet((NEW,)))
    assert partition.versions() == partition.versions(v="new") == ("new", "new")
    assert partition.versions(v="path") == (404, 404)


def test_what_nobody_shows_is_not_answered(partition: Answering) -> None:
    """A new name, and a successor of what this partition does not count, until they are complete; the problem names
    the versions that there are."""
    other = Definition("other", NEW.zone, NEW.week_start, NEW.tzdata, NEW.analysis)
    partition.define(DefinitionSet((NEW,), (other,)))
    while NEW.version not in partition.in_force():
        assert partition.versions() == (503, 503)
        assert partition.chore()
    assert partition.versions() == ("new", "new")
    assert partition.versions(v="other") == (503, 503)
    status, problem = partition.ask("/v1/cells", **CELLS, v="none")
    assert (status, "in force as version other and new, not 'none'" in problem["detail"]) == (404, True)


@pytest.mark.parametrize(("published", "shown"), [("path", FORMER), ("new", NEW), (None, NEW), ("older", NEW)])
def test_the_command_line_asks_for_the_version_of_the_snapshot(
    published: str | None, shown: Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All workers the same one; where there is no former version, or no snapshot, the newest."""
    snapshots = {} if published is None else {"path": SimpleNamespace(version=published)}
    monkeypatch.setattr(live_snapshots, "published_snapshots", lambda *_: iter([snapshots]))
    assert Published("", SETTINGS, "path").definition(CHANGED) == shown
    assert Published("", SETTINGS, "path").definition(DefinitionSet((NEW,))) == NEW
    assert Published("", SETTINGS, "none").definition(CHANGED) is None
    asked: list[dict[str, Any]] = []

    class Client:
        def __init__(self, *_: Any) -> None: ...

        def cells(self, limit: int, **query: Any) -> CellsAnswer:
            asked.append(query)
            return CellsAnswer(analysis="path", version="", cell="*", range=None, containers=[], cursor=None,
                               applied={}, clock_ms=0, missing=[])  # fmt: skip

    @contextmanager
    def connected(*_: Any, **__: Any) -> Iterator[str]:
        yield ""

    monkeypatch.setattr(why_module, "QueryClient", Client)
    monkeypatch.setattr(why_module, "connect", connected)
    for definitions in (CHANGED, DefinitionSet((NEW,))):
        monkeypatch.setattr(why_module, "read_definitions", lambda *_, found=definitions: found)
        assert CliRunner().invoke(why_module.command, ["path", "*"]).exit_code == 0
    assert [query["v"] for query in asked] == [shown.version, None]
