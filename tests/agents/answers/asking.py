"""Questions to a worker's application, without a server: what it is made of, and how it is asked."""

import io
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from agents.answers.definitions import DefinitionAnswers
from agents.answers.owned_partitions import OwnedPartitions
from agents.answers.preview import PreviewAnswers
from agents.answers.queries import Queries
from agents.answers.sums import Standing, SumsAnswers
from agents.reading_plan import ReadingPlan
from agents.settings import Settings
from state.layers import Current

LATENESS_MS = 3_600_000
NOTHING: Mapping[str, str] = {}


def queries_of(
    current: Current,
    stores: Callable[[], Mapping[int, Any]],
    partition_count: int = 1,
    owner_of: Callable[[int], str | None] = lambda _: None,
    standing: Callable[[], Standing | None] = lambda: None,
    sums_url: str | None = None,
) -> Queries:
    """A worker that owns these stores and keeps these sums; of what it does not have, the others are at these URLs."""
    plan = ReadingPlan(current)
    sums = SumsAnswers(plan, standing, lambda: sums_url, touchpoints="touchpoints", lateness_ms=LATENESS_MS)
    definitions = DefinitionAnswers("nowhere:1", Settings(bootstrap_servers="nowhere:1"))
    partitions = OwnedPartitions(stores, partition_count, owner_of)
    return Queries(plan, partitions, sums, definitions, PreviewAnswers(plan, partitions, LATENESS_MS))


def asked_of(application: Queries) -> Any:
    """Asks an application; gives (status, body). environ: of the request, in place of what is right."""

    def ask(
        path: str, method: str = "GET", body: bytes = b"", environ: Mapping[str, str] = NOTHING, **query: Any
    ) -> tuple[int, Any]:
        told: list[Any] = []
        given = {
            "REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": urlencode(query, doseq=True), "wsgi.input": io.BytesIO(body),
            "CONTENT_TYPE": "application/json; charset=utf-8", "CONTENT_LENGTH": str(len(body)), **environ,
        }  # fmt: skip
        body = b"".join(application(given, lambda status, headers: told.extend((status, dict(headers)))))
        assert told[1]["Content-Type"] == ("application/json" if told[0] == "200 OK" else "application/problem+json")
        return int(told[0][:3]), msgspec.json.decode(body)

    return ask
