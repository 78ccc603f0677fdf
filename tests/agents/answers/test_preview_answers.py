"""An analysis that is still being written, over HTTP: what it shows of a sample, and that nothing is changed by it."""

from copy import deepcopy
from typing import Any

import msgspec
import pytest

from agents.answers import preview as preview_module
from state.accounts import Accounts
from state.definition_set import Definition, DefinitionSet
from state.definitions import DefinitionFile
from state.render.snapshot import snapshot_of
from state.sums import PartialSums
from streams.partials import Tag
from streams.stage import Applied
from streams.touchpoint import Touchpoint
from tests.agents.answers.asking import LATENESS_MS, asked_of, queries_of
from tests.agents.answers.test_queries import ARRIVED, DEFINITIONS, PARTITIONS, stores_of
from tests.state.layers_of import layers_of
from tests.state.memory_store import MemoryStore
from tests.state.worlds import START, Record, touchpoint

CANVAS = {
    "name": "new", "kind": "canvas", "container": "opportunity", "metric": "value",
    "nodes": [{"id": t, "match": {"field": "type", "op": "=", "value": t.upper()}} for t in "ab"],
    "arrows": [{"from": "a", "to": "b", "within": "2d"}],
}  # fmt: skip
COHORT = {
    "name": "new", "kind": "cohort", "container": "account", "granularity": "day", "last": "3 days",
    "inclusion": {"match": {"field": "type", "op": "exists"}}, "return": {"match": {"field": "type", "value": "B"}},
}  # fmt: skip
FLOW = {"name": "new", "kind": "flow", "container": "account", "dimension": "type", "filter": {
    "has": {"match": {"field": "type", "value": "B"}, "metric": "count", "op": ">=", "number": 1}}}  # fmt: skip


def body_of(analysis: dict[str, Any]) -> bytes:
    """A definition file."""
    return msgspec.json.encode({"version": 1, "zone": "Europe/Berlin", "analyses": [analysis]})


def asker(stores: dict[int, Any], **options: Any) -> Any:
    """Asks a worker that owns these for a preview."""
    ask = asked_of(queries_of(lambda: (0, DEFINITIONS), lambda: stores, PARTITIONS, **options))
    return lambda analysis, **query: ask("/v1/preview", "POST", body_of(analysis), **query)


STORES = stores_of(ARRIVED)
preview = asker(STORES)


def applied(analysis: dict[str, Any], arrived: list[Touchpoint]) -> Any:
    """The snapshot of the analysis when it is applied, as JSON, without what says where it comes from."""
    file = DefinitionFile.model_validate(msgspec.json.decode(body_of(analysis)))
    definition = Definition("preview", file.zone, file.week_start, "", file.analyses[0])
    store, sums = MemoryStore(), PartialSums([definition])
    accounts = Accounts(layers_of(DefinitionSet((definition,))), store)
    outcome = accounts.compute([Record(each) for each in arrived])
    sums.apply(0, accounts.partial_records(outcome, Applied(Tag(0, 1), {"touchpoints": 1}, START)))
    made = snapshot_of(
        definition, sums.totals("preview"), sums.covers, touchpoints="touchpoints", lateness_ms=LATENESS_MS
    )
    return without_origin(msgspec.json.decode(msgspec.json.encode(made)))


def without_origin(snapshot: dict[str, Any]) -> dict[str, Any]:
    """But for the input that it contains."""
    return {k: v for k, v in snapshot.items() if k not in ("applied", "definitions_hash", "range", "watermark_ms")}


@pytest.mark.parametrize("analysis", [CANVAS, COHORT, FLOW], ids=lambda each: each["kind"])
def test_over_all_accounts_it_is_the_snapshot(analysis: dict[str, Any]) -> None:
    """That the same definition has when it is applied; and nothing has changed by the question."""
    before = deepcopy({number: store.rows for number, store in STORES.items()})
    status, found = preview(analysis)
    assert status == 200
    assert without_origin(found["snapshot"]) == applied(analysis, ARRIVED)
    assert found["snapshot"]["applied"] == {"0": 0, "1": 1, "2": 2, "3": 3}
    assert (found["is_sample"], found["sampled"], found["total"], found["drawn_from"]) == (False, 9, 9, 9)
    assert {number: store.rows for number, store in STORES.items()} == before


def test_a_moving_range_says_its_days() -> None:
    """As the snapshot does."""
    assert preview(COHORT)[1]["snapshot"]["range"] == ["2023-11-12", "2023-11-14"]
    assert preview(CANVAS)[1]["snapshot"]["range"] is None


@pytest.mark.parametrize("size", [1, 2, 5, 9, 10, 100_000])
def test_a_sample_says_that_it_is_one(size: int) -> None:
    """With how many accounts it has of how many; each account counts one start at most."""
    found = preview(CANVAS, sample=size)[1]
    assert (found["sampled"], found["total"]) == (min(size, 9), 9)
    assert found["is_sample"] == (size < 9)
    assert found["snapshot"]["body"]["total"] == found["sampled"]
    assert preview(CANVAS, sample=size)[1] == found


def test_time_bounds_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is an answer too, and says that it is of nothing."""
    monkeypatch.setattr(preview_module, "PREVIEW_S", -1.0)
    found = preview(CANVAS)[1]
    assert (found["is_sample"], found["sampled"], found["total"], found["left_out"]) == (True, 0, 9, 0)
    assert found["snapshot"]["body"]["total"] == 0
    assert found["drawn_from"] == 4  # one of each partition, as far as the time goes


def test_an_account_that_is_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And counted, so that nobody takes what is left for all."""
    large = [touchpoint(f"l{n}", START + n, "A", account="large", opportunity="l") for n in range(600)]
    with monkeypatch.context() as changed:
        changed.setattr(preview_module, "ACCOUNT_SHARE", -1.0)
        changed.setattr(preview_module, "PREVIEW_S", 60.0)
        found = asker(stores_of([*ARRIVED, *large]))(CANVAS)[1]
    assert (found["is_sample"], found["sampled"], found["total"], found["left_out"]) == (True, 9, 10, 1)
    assert without_origin(found["snapshot"]) == applied(CANVAS, ARRIVED)


def test_whoever_has_no_account_names_who_has() -> None:
    """Or says that nobody is known."""
    status, problem = asker({}, owner_of=lambda _: "http://owner:1")(CANVAS)
    assert (status, problem["owner"]) == (421, "http://owner:1")
    assert asker({})(CANVAS)[0] == 503


def test_mistakes_are_those_of_a_definition() -> None:
    """By their path; and the size of the sample has bounds."""
    status, problem = preview({**CANVAS, "arrows": [{"from": "a", "to": "c"}]})
    assert (status, "analyses[0]" in problem["detail"]) == (400, True)
    assert preview(CANVAS, sample=100_001)[0] == preview(CANVAS, sample=0)[0] == preview(CANVAS, of="x")[0] == 400
    assert asked_of(queries_of(lambda: (0, DEFINITIONS), lambda: STORES, PARTITIONS))("/v1/preview")[0] == 404
