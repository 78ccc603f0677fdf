"""A worker of the role accounts that answers questions: what it owns, where it listens, and that others know it."""

from collections.abc import Mapping
from typing import Any, cast

from agents.definitions_follower import DefinitionsFollower
from agents.directory import CachedDirectory, announce
from agents.metrics_server import Listening, serve_metrics, url_of
from agents.queries import Queries, Readable
from agents.reading_plan import ReadingPlan
from agents.settings import Settings
from streams.writer import Writer


def answer_questions(
    app: Any, settings: Settings, bootstrap: str, definitions: DefinitionsFollower, listening: Listening
) -> None:
    """Serves metrics and answers, and has the application say on `workers` where. To be called before it runs."""

    def owners() -> dict[int, Writer]:
        consumer = app._consumer
        if consumer is None:
            return {}
        return {
            partition: cast(Writer, owner) for (_, partition), owner in consumer.ownership.owner_by_partition().items()
        }

    def owned() -> Mapping[int, Readable]:
        return {partition: cast(Readable, owner.store) for partition, owner in owners().items()}

    directory = CachedDirectory(bootstrap, settings)
    queries = Queries(ReadingPlan(definitions.current), owned, settings.partitions, directory.owner_of)
    port = serve_metrics(listening, queries)
    url = settings.url or url_of(listening, port)

    @app.task  # type: ignore[untyped-decorator]
    async def say_where() -> None:
        await announce(
            bootstrap, settings, url, lambda: {partition: owner.epoch for partition, owner in owners().items()}
        )
