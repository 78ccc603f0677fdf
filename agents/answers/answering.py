"""A worker that answers questions: what it owns, where it listens, and that others know it."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, cast

from agents.answers.definitions import DefinitionAnswers
from agents.answers.owned_partitions import OwnedPartitions, Readable
from agents.answers.preview import PreviewAnswers
from agents.answers.queries import Queries
from agents.answers.sums import Standing, SumsAnswers
from agents.definitions_follower import DefinitionsFollower
from agents.directory import ACCOUNTS, SNAPSHOTS, CachedDirectory, announce
from agents.metrics_server import Listening, serve_metrics, url_of
from agents.reading_plan import ReadingPlan
from agents.settings import Settings
from streams.topics import topic_name
from streams.writer import Writer


class _Owner(Protocol):
    """What has a partition here."""

    @property
    def epoch(self) -> int:
        """The offset of its claim."""


def answer_questions(
    app_by_role: Mapping[str, Any],
    settings: Settings,
    bootstrap: str,
    definitions: DefinitionsFollower,
    listening: Listening,
) -> None:
    """Serves metrics and answers, and has the applications, of the roles accounts and snapshots or of one of them, say
    on `workers` where. To be called before they run."""

    def owned() -> Mapping[int, Readable]:
        writers = cast(Mapping[int, Writer], _owners(app_by_role.get(ACCOUNTS)))
        return {partition: cast(Readable, writer.store) for partition, writer in writers.items()}

    def standing() -> Standing | None:
        return cast(Standing | None, _owners(app_by_role.get(SNAPSHOTS)).get(0))

    directory = CachedDirectory(bootstrap, settings)
    plan = ReadingPlan(definitions.current)
    lateness_ms = settings.lateness_s * 1000
    sums = SumsAnswers(
        plan,
        standing,
        partial(directory.owner_of, 0, SNAPSHOTS),
        touchpoints=topic_name("touchpoints", settings.prefix, settings.generation),
        lateness_ms=lateness_ms,
    )
    partitions = OwnedPartitions(owned, settings.partitions, directory.owner_of)
    previews = PreviewAnswers(plan, partitions, lateness_ms)
    queries = Queries(plan, partitions, sums, DefinitionAnswers(bootstrap, settings), previews)
    port = serve_metrics(listening, queries)
    url = settings.url or url_of(listening, port)
    for role, app in app_by_role.items():
        app.task(partial(announce, bootstrap, settings, url, role, partial(_epochs, app)))


def _owners(app: Any) -> Mapping[int, _Owner]:
    """The owners at work in an application, by their partition's number."""
    consumer = None if app is None else app._consumer
    if consumer is None:
        return {}
    return {partition: owner for (_, partition), owner in consumer.ownership.owner_by_partition().items()}


def _epochs(app: Any) -> dict[int, int]:
    return {partition: owner.epoch for partition, owner in _owners(app).items()}
