"""Asks workers: the owner of an account, or all of them, whose answers become one.

Of all, whoever does not answer in time is left out, and its partitions are named in `missing`.
"""

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from agents.answers.values import VALUE_COUNT, VALUE_COUNT_MAX
from agents.directory import Directory, read_directory
from agents.metrics_server import token_of
from agents.settings import Settings
from state.story import cursor_of, key_of_cursor
from state.values import most_frequent
from state.why import merged_lists
from streams.admin import end_offsets
from streams.answers import CellsAnswer, Problem, SearchAnswer, StoryAnswer, ValuesAnswer, WhyAnswer
from streams.errors import UnavailableError, UsageError
from streams.partitioning import partition_of
from streams.shown import shown
from streams.topics import topic_name

ASK_ALL_S = 2.0
ASK_VALUES_S = 0.3
ASK_ONE_S = 30.0
ANSWER_BYTES_MAX = 64 << 20
HOPS_MAX = 2
Answer = TypeVar("Answer", StoryAnswer, WhyAnswer, CellsAnswer, SearchAnswer, ValuesAnswer)
Query = Mapping[str, str | int | Sequence[str] | None]


class QueryClient:
    """Questions to the workers of one prefix and generation."""

    def __init__(self, bootstrap: str, settings: Settings) -> None:
        """Reads where the workers answer. Raises UnavailableError when no worker says so."""
        self._token = token_of(settings)
        self._directory: Directory = read_directory(bootstrap, settings)
        touchpoints = topic_name("touchpoints", settings.prefix, settings.generation)
        self._partition_count = len(end_offsets(bootstrap, touchpoints))
        if not self._directory.urls(self._partition_count):
            raise UnavailableError(
                "no worker answers questions; run one of the role accounts (with MILEPOST_QUERIES on, as by default)"
            )

    def story(self, kind: str, id_: str, account: str, **query: Any) -> StoryAnswer:
        """A page of a container's story, from the account's owner."""
        of = {} if kind == "account" else {"account": account}
        return self._ask_owner(account, f"/v1/{kind}/{quote(id_, safe='')}/story", {**of, **query}, StoryAnswer)

    def why(self, account: str, **query: Any) -> WhyAnswer:
        """The touchpoints that made one container count, from the account's owner."""
        return self._ask_owner(account, "/v1/why", {"account": account, **query}, WhyAnswer)

    def cells(self, limit: int, **query: Any) -> CellsAnswer:
        """A page of the containers behind a number, of all workers."""
        answers, missing = self._ask_all("/v1/cells", {"limit": limit, **query}, CellsAnswer)
        pages = [(each.containers, None if each.cursor is None else key_of_cursor(each.cursor)) for each in answers]
        found, reached = merged_lists(pages, lambda each: key_of_cursor(each.place), limit)
        contained = _contained(answers, missing)
        return msgspec.structs.replace(answers[0], containers=found, cursor=cursor_of(reached), **contained)

    def search(self, **query: Any) -> SearchAnswer:
        """Containers of a name, of all workers."""
        answers, missing = self._ask_all("/v1/search", query, SearchAnswer)
        return SearchAnswer(
            found=sorted(found for each in answers for found in each.found),
            is_complete=not missing and all(each.is_complete for each in answers),
            **_contained(answers, missing),
        )

    def values(self, limit: int = VALUE_COUNT, **query: Any) -> ValuesAnswer:
        """The most frequent values of a dimension, of all workers."""
        asked = {"limit": VALUE_COUNT_MAX, **query}
        answers, missing = self._ask_all("/v1/values", asked, ValuesAnswer, ASK_VALUES_S)
        counts: dict[str, int] = {}
        for answer in answers:
            for value, count in answer.values:
                counts[value] = counts.get(value, 0) + count
        wanted = most_frequent(counts, "", limit + 1)
        return ValuesAnswer(
            dimension=answers[0].dimension,
            values=wanted[:limit],
            is_cut=len(wanted) > limit or any(each.is_cut for each in answers),
            looked_at=sum(each.looked_at for each in answers),
            # What one of them cut off may be among the most frequent of all.
            is_complete=not missing and all(each.is_complete and not each.is_cut for each in answers),
            **_contained(answers, missing),
        )

    def _ask_owner(self, account: str, path: str, query: Query, kind: type[Answer]) -> Answer:
        partition = partition_of(account.encode(), self._partition_count)
        url = self._directory.owner_of(partition)
        if url is None:
            raise UnavailableError(f"no worker says that partition {partition} is its own, where {account!r} lies")
        for _ in range(HOPS_MAX):
            found = self._ask(url, path, query, kind, ASK_ONE_S)
            if not isinstance(found, Problem):
                return found
            if found.status != 421 or found.owner is None:
                raise _error_of(found)
            url = found.owner
        raise UnavailableError(f"the workers do not agree who has partition {partition}; ask again in a moment")

    def _ask_all(
        self, path: str, query: Query, kind: type[Answer], patience_s: float = ASK_ALL_S
    ) -> tuple[list[Answer], list[int]]:
        """The answers that came in time, at least one, and the partitions of which there is none."""
        partitions = self._directory.urls(self._partition_count)
        pool = ThreadPoolExecutor(max(1, len(partitions)))
        try:
            asked = [pool.submit(self._ask, url, path, query, kind, patience_s) for url in partitions]
            done, _ = wait(asked, patience_s)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        answers: list[Answer] = []
        problems: list[Exception] = []
        for future in done:
            try:
                found = future.result()
            except UnavailableError as error:
                problems.append(error)
                continue
            if isinstance(found, Problem):
                problems.append(_error_of(found))
            else:
                answers.append(found)
        for problem in problems:
            if isinstance(problem, UsageError):
                raise problem
        if not answers:
            raise problems[0] if problems else UnavailableError("no worker answered in time")
        have = {int(partition) for each in answers for partition in each.applied}
        return answers, [partition for partition in range(self._partition_count) if partition not in have]

    def _ask(self, url: str, path: str, query: Query, kind: type[Answer], patience_s: float) -> "Answer | Problem":
        """The answer of one worker. Raises UnavailableError where there is none."""
        given = {name: value for name, value in query.items() if value is not None}
        request = urllib.request.Request(f"{url.rstrip('/')}{path}?{urlencode(given, doseq=True)}")
        if self._token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self._token.get_secret_value()}")
        try:
            with _OPENER.open(request, timeout=patience_s) as answer:
                return msgspec.json.decode(answer.read(ANSWER_BYTES_MAX), type=kind)
        except urllib.error.HTTPError as error:
            return _problem_of(error, url)
        except (OSError, HTTPException, msgspec.DecodeError, ValueError) as error:
            raise UnavailableError(f"the worker at {url} does not answer: {error}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A worker sends nobody elsewhere, and the token goes to none but it."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


# Without the proxies of the environment: workers are near, and what they say is not for others.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def _problem_of(error: urllib.error.HTTPError, url: str) -> Problem:
    try:
        body = error.read(100_000)
    except (OSError, HTTPException):
        body = b""
    if error.headers.get_content_type() == "application/problem+json":
        try:
            return msgspec.json.decode(body, type=Problem)
        except msgspec.DecodeError:
            pass
    hint = "; set MILEPOST_METRICS_TOKEN or MILEPOST_METRICS_TOKEN_FILE as the workers have it" * (error.code == 401)
    return Problem("The worker refused", 503, f"{url} answers {error.code} {error.reason}{hint}")


def _error_of(problem: Problem) -> UsageError | UnavailableError:
    detail = shown(problem.detail, 2_000)
    return UsageError(detail) if problem.status in (400, 404) else UnavailableError(detail)


def _contained(answers: Sequence[Answer], missing: list[int]) -> dict[str, Any]:
    applied = {partition: offset for each in answers for partition, offset in each.applied.items()}
    ordered = {partition: applied[partition] for partition in sorted(applied, key=int)}
    return {"applied": ordered, "clock_ms": max(each.clock_ms for each in answers), "missing": missing}
