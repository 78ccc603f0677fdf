"""A role's Faust application: settings in, application out, and the process that runs it.

One application per role, so that a role scales alone. Faust's tables, changelogs, recovery, web server and leader are
not used; `streams.transport` says what is.
"""

import asyncio
import ctypes
import faulthandler
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import faust
import structlog
import uvloop

from agents.logs import configure_structlog, logging_config
from agents.settings import Settings
from agents.watchdog import Watchdog
from streams.bootstrap import Security, security_of
from streams.computing import longest_s
from streams.errors import MilepostError, UnavailableError
from streams.ownership import Followers, OwnerFactory
from streams.topics import MIB
from streams.transport import BatchTransport

FETCH_BYTES = MIB  # compressed; it holds more records than a batch takes
_M_ARENA_MAX = -8
log = structlog.get_logger(__name__)


def make_app(
    settings: Settings,
    role: str,
    bootstrap: str,
    owners: Mapping[str, OwnerFactory],
    followers: Followers | None = None,
    id_by_topic: Mapping[str, str] | None = None,
) -> Any:
    """The application of one role. `owners`: what makes the owner of a partition, by topic; topics without one have
    agents without state, which start where the group stands. `followers`: for partitions that others own.
    `id_by_topic`: what the topics that are read must stay."""
    name = f"{settings.prefix}-{role}-{settings.generation}"
    folder = settings.worker_folder(role) / "faust"
    folder.mkdir(parents=True, exist_ok=True)  # Faust makes no parents
    session_s = settings.session_timeout_s
    app = faust.App(
        name,
        broker=[f"kafka://{server}" for server in bootstrap.split(",")],
        broker_credentials=_credentials(security_of(bootstrap)),
        # Faust lets the environment win over arguments; a stray BROKER_URL must not.
        env={},
        datadir=str(folder),
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        # An agent that failed must not go on with the next batch, which is what Faust's default makes of it.
        agent_supervisor="mode.CrashingSupervisor",
        value_serializer="raw",
        # Static membership: a worker that comes back takes its partitions over in 2 s instead of after the session.
        consumer_group_instance_id=f"{name}-{settings.worker_id}",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        broker_max_poll_records=settings.batch_records_max,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 10,
        broker_rebalance_timeout=2 * session_s,
        broker_request_timeout=max(30.0, session_s),
        broker_commit_interval=1.0,
        stream_buffer_maxsize=4,  # batches
    )
    app.transport = BatchTransport(app, owners, followers, id_by_topic)
    return app


def _credentials(security: Security | None) -> Any:
    """What Faust calls them."""
    if security is None:
        return None
    if security.mechanism is None:
        return faust.SSLCredentials(security.tls)
    return faust.SASLCredentials(
        username=security.username,
        password=security.password,
        ssl_context=security.tls,
        mechanism=security.mechanism,
    )


class _Worker(faust.Worker):  # type: ignore[misc]
    """Faust's, but for two signals: one would open a debugger, the other print every task's variables, events among
    them."""

    def install_signal_handlers(self) -> None:
        super().install_signal_handlers()
        if sys.platform != "win32":
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                self.loop.remove_signal_handler(number)
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            faulthandler.register(signal.SIGUSR1)  # where every thread stands, for who asks what a worker does


def run_apps(apps: Sequence[Any], settings: Settings) -> None:
    """Runs applications in this process until SIGTERM or SIGINT, or until one of them fails.

    Raises the MilepostError that ended one; any other failure ends the process with its traceback and a code of 1.
    """
    uvloop.install()
    configure_structlog()
    _bound_arenas()
    worker = _Worker(*apps, loglevel="INFO", logging_config=logging_config(), redirect_stdouts=False)
    # The spinner sets the root logger to DEBUG for itself: 12 % of the processor's time.
    worker.spinner = None
    ages: list[Callable[[], float]] = [longest_s, *(partial(oldest_in_hand_s, app) for app in apps)]
    watchdog = Watchdog(settings.batch_deadline_s, ages, lambda: bool(worker.should_stop))
    worker.add_future(watchdog.run())
    worker.add_future(_announce(apps, settings))
    try:
        worker.execute_from_commandline()
    except BaseException as ended:
        # Of several applications one fails, and what comes here may be how another one was stopped for it.
        if isinstance(ended, SystemExit) and ended.code in (0, None):
            raise
        if (failure := _failure_of(apps)) is not None:
            raise failure from ended
        if isinstance(ended, SystemExit | asyncio.CancelledError):
            raise UnavailableError(_no_reason(apps)) from ended
        raise


def _bound_arenas() -> None:
    """glibc gives every thread of RocksDB and aiokafka a heap of its own, each with holes: two do, and stay smaller."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 2)


async def _announce(apps: Sequence[Any], settings: Settings) -> None:
    """Says when every application works on every partition it was given."""
    while not all(is_ready(app) for app in apps):
        await asyncio.sleep(0.2)
    partitions = sum(len(app.consumer.ownership.phases()) for app in apps)
    log.info("ready", worker_id=settings.worker_id, prefix=settings.prefix, partitions=partitions)


def oldest_in_hand_s(app: Any) -> float:
    """For how long the application's oldest batch has been worked on, in seconds."""
    consumer = app._consumer
    return 0.0 if consumer is None else float(consumer.oldest_in_hand_s())


def is_ready(app: Any) -> bool:
    """Whether every partition that the group gave to this application is being worked on."""
    consumer = app._consumer
    return consumer is not None and bool(app.consumer_generation_id > 0) and bool(consumer.ownership.is_ready())


def standing_count(app: Any) -> int:
    """How many of the application's partitions stand at a record on which the computation fails."""
    consumer = app._consumer
    owners = [] if consumer is None else consumer.ownership.ready_owners()
    return sum(getattr(owner, "standstill", None) is not None for owner in owners)


def _failure_of(apps: Sequence[Any]) -> BaseException | None:
    """What failed first in one of the applications, if they know."""
    for app in apps:
        failure = None if app._consumer is None else app._consumer.failure
        if failure is None and isinstance(app.crash_reason, MilepostError):
            failure = app.crash_reason
        if failure is not None:
            return cast(BaseException, failure)
    return None


def _no_reason(apps: Sequence[Any]) -> str:
    """In silence no worker ends."""
    reasons = ", ".join(sorted({repr(app.crash_reason) for app in apps}))
    return (
        f"the worker ended, and no part of it says why ({reasons}); most often Kafka did not answer. A new start goes"
        " on from the last commit."
    )
