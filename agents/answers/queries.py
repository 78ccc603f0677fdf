"""What a worker answers: of the partitions that it owns stories, who is behind a number, and why; of the sums over all
partitions, where it keeps them, analyses over any days.

Each request has a thread of its own and reads the rows as one commit left them (`RocksStore.reading`), so the loop that
applies events is not waited for and does not wait, but for its share of the interpreter: a few requests read at once,
the others wait or are told to come again. A partition that is given up meanwhile ends its reading.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from agents.answers.definitions import DefinitionAnswers
from agents.answers.owned_partitions import OwnedPartitions
from agents.answers.parts import ContainedParts, behind_cell, counted_of
from agents.answers.preview import PreviewAnswers
from agents.answers.reply import answer_to, json_body
from agents.answers.request import KIND_BY_NAME, Parameters, ProblemError, number_asked
from agents.answers.sums import SumsAnswers
from agents.answers.values import values_here
from agents.reading_plan import ReadingPlan
from state.containers import Containers
from state.cut import cut_of
from state.definitions import ContainerKind
from state.search import accounts_named, accounts_of
from state.story import Wanted, cursor_of, key_of_cursor, story_page
from state.story_marks import StoryMarks
from state.why import Behind, Change, merged
from streams.answers import (
    CellsAnswer,
    Found,
    SearchAnswer,
    StoryAnswer,
    WhyAnswer,
)
from streams.shown import shown

CELLS_S = 1.2
"""How long a page of containers is looked for; whoever merges the workers' waits for 2 s."""
LOOK_UP_S = 1.2
STORY_COUNT, STORY_COUNT_MAX = 200, 1_000
CELLS_COUNT, CELLS_COUNT_MAX = 50, 500
WHY_COUNT_MAX = 1_000
SEARCH_COUNT = 20
AT_ONCE_MAX = 2
WAIT_S_MAX = 1.0


class Queries:
    """The WSGI application below /v1/."""

    def __init__(
        self,
        plan: ReadingPlan,
        partitions: OwnedPartitions,
        sums: SumsAnswers,
        definitions: DefinitionAnswers,
        previews: PreviewAnswers,
    ) -> None:
        self._plan = plan
        self._partitions = partitions
        self._sums = sums
        self._definitions = definitions
        self._previews = previews
        self._turns = threading.BoundedSemaphore(AT_ONCE_MAX)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return answer_to(lambda: self._answer(environ), start_response)

    def _answer(self, environ: dict[str, Any]) -> msgspec.Struct:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace").removeprefix("/v1/").split("/")
        parameters = Parameters(environ.get("QUERY_STRING", ""))
        match environ["REQUEST_METHOD"], path:
            case "GET", _:
                with self._turn():
                    return self._read(path, parameters)
            case "PUT", ["definitions", name]:
                return self._definitions.put(name, parameters, json_body(environ))
            case "POST", ["preview"]:
                body = json_body(environ)
                with self._turn():
                    return self._previews.preview(parameters, body)
        raise ProblemError(
            405, "questions are asked with GET; a definition is put to /v1/definitions/NAME, and posted to /v1/preview"
        )

    def _read(self, path: list[str], parameters: Parameters) -> msgspec.Struct:
        match path:
            case ["cells"]:
                return self._cells(parameters)
            case ["why"]:
                return self._why(parameters)
            case ["search"]:
                return self._search(parameters)
            case ["values"]:
                return values_here(self._partitions, parameters)
            case ["snapshot"]:
                return self._sums.snapshot(parameters)
            case ["flow", "through"]:
                return self._sums.through(parameters)
            case [kind, *id_, "story"] if kind in KIND_BY_NAME and any(id_):
                return self._story(KIND_BY_NAME[kind], "/".join(id_), parameters)
        raise ProblemError(
            404, "there is /v1/CONTAINER/ID/story, /v1/cells, /v1/why, /v1/search, /v1/values, /v1/snapshot and"
            f" /v1/flow/through; containers are {', '.join(KIND_BY_NAME)}"
        )  # fmt: skip

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=WAIT_S_MAX):
            raise ProblemError(503, f"{AT_ONCE_MAX} questions are being answered already; ask again in a moment")
        try:
            yield
        finally:
            self._turns.release()

    # --- of one account

    def _story(self, kind: ContainerKind, id_: str, parameters: Parameters) -> StoryAnswer:
        plan = self._plan
        if kind is ContainerKind.ACCOUNT:
            account, container = id_, {}
        else:
            account = parameters.required("account", "whose it is; /v1/search?kind=...&q=... finds it")
            container = {kind.value: {id_}}
        before, milestone = parameters.text("before"), parameters.text("milestone")
        side = parameters.text("side") or "after"
        if side not in ("before", "after"):
            raise ProblemError(400, f"side is {shown(side, 50)!r}; it is before or after")
        wanted = Wanted(
            container=container,
            filters=parameters.filters(),
            before=None if before is None else key_of_cursor(before),
            cut=None if milestone is None else cut_of(plan.definitions, milestone),
            side=side,  # type: ignore[arg-type]  # one of the two, as was asked just now
        )
        count = parameters.count("limit", STORY_COUNT, STORY_COUNT_MAX)
        parameters.require_all_taken()
        with self._partitions.rows_of(account) as (rows, contained):
            layers = plan.layers(rows)
            milestones = StoryMarks(plan.definitions, layers, Containers(layers, rows))
            page = story_page(rows, milestones, account.encode(), wanted, count)
        return StoryAnswer(
            account=account,
            kind=kind.value,
            id=None if kind is ContainerKind.ACCOUNT else id_,
            touchpoints=page.touchpoints,
            before=cursor_of(page.before),
            **contained,
        )

    def _why(self, parameters: Parameters) -> WhyAnswer:
        plan = self._plan
        asked = number_asked(parameters, plan.definitions, self._is_complete)
        account = parameters.required("account", "whose container it is")
        kind = asked.definition.analysis.container
        id_ = "" if kind is ContainerKind.ACCOUNT else parameters.required("container", f"the id of the {kind.value}")
        count = parameters.count("limit", STORY_COUNT, WHY_COUNT_MAX)
        parameters.require_all_taken()
        figure = asked.figure()
        with self._partitions.rows_of(account) as (rows, contained):
            layers = plan.complete_layers(rows, asked.definition)
            behind = Behind(layers, Containers(layers, rows), asked.definition.version, figure)
            changes: list[Change] = []
            for change in behind.changes(account.encode(), id_.encode()):
                changes.append(change)
                if len(changes) > count:
                    break
            counted = counted_of(rows, account.encode(), changes[:count], figure)
        return WhyAnswer(
            analysis=asked.definition.analysis.name,
            version=asked.definition.version,
            cell=asked.cell,
            range=asked.dates,
            account=account,
            kind=kind.value,
            id=id_ or None,
            touchpoints=counted,
            is_cut=len(changes) > count,
            **contained,
        )

    def _is_complete(self, version: str) -> bool:
        """Whether every partition here counts all of its accounts in it."""
        return self._partitions.are_all(lambda rows: self._plan.is_complete(rows, version))

    # --- of all partitions here

    def _cells(self, parameters: Parameters) -> CellsAnswer:
        plan = self._plan
        asked = number_asked(parameters, plan.definitions, self._is_complete)
        cursor = parameters.text("cursor")
        count = parameters.count("limit", CELLS_COUNT, CELLS_COUNT_MAX)
        parameters.require_all_taken()
        place = b"" if cursor is None else key_of_cursor(cursor)
        figure = asked.figure()
        pages = []
        contained = ContainedParts()
        for rows, is_due in self._partitions.each(CELLS_S, contained):
            layers = plan.complete_layers(rows, asked.definition)
            behind = Behind(layers, Containers(layers, rows), asked.definition.version, figure)
            pages.append(behind.page(place, count, is_due))
        page = merged(pages, count)
        return CellsAnswer(
            analysis=asked.definition.analysis.name,
            version=asked.definition.version,
            cell=asked.cell,
            range=asked.dates,
            containers=[behind_cell(each, figure) for each in page.found],
            cursor=cursor_of(page.reached),
            **contained.said(),
        )

    def _search(self, parameters: Parameters) -> SearchAnswer:
        plan = self._plan
        text = parameters.required("q", "the name, or how it begins")
        name = parameters.text("kind") or ContainerKind.ACCOUNT.value
        count = parameters.count("limit", SEARCH_COUNT, CELLS_COUNT_MAX)
        parameters.require_all_taken()
        if name not in KIND_BY_NAME:
            raise ProblemError(400, f"kind is {shown(name, 50)!r}; it is one of {', '.join(KIND_BY_NAME)}")
        kind = KIND_BY_NAME[name]
        found: list[Found] = []
        is_complete = True
        contained = ContainedParts()
        for rows, is_due in self._partitions.each(LOOK_UP_S, contained):
            if kind is ContainerKind.ACCOUNT:
                found += accounts_named(Containers(plan.layers(rows), rows), text, count)
            else:
                some, is_all = accounts_of(plan.layers(rows), rows, kind, text, is_due)
                found, is_complete = found + some, is_complete and is_all
        return SearchAnswer(found=sorted(found)[:count], is_complete=is_complete, **contained.said())
