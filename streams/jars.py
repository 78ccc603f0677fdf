"""Apache Kafka's jars: resolved once by jgo, kept in a folder of their own, used offline for ever after.

The law: `{jars}/kafka-{version}` appears by one rename when all of it is there, with the sizes of its files beside
them. A download that is cut off leaves nothing that a later start could take for whole.
"""

import fcntl
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path

from streams.errors import UnavailableError

KAFKA_VERSION = "4.4.0"
# slf4j-simple writes the broker's warnings to its log file, so that a broker that does not come up can say why.
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
DOWNLOAD_BYTES = 45_664_495  # jars and their descriptions; only for the progress that is shown
DIGEST = "98b52a7fc606912291aaa0d2a2b8563c1bb4f6a732ad5a4ba94bffc300884b95"
"""SHA-256 over `sha256sum` of the jars in name order: what was tested is what runs, whoever delivered it."""

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes downloaded until now and those of the whole download."""

_SIZES = "SIZES"
_ALTERNATIVES = (
    "Connect to the Internet once and repeat, or use a Kafka that runs already: `--bootstrap-servers HOST:PORT` of any"
    " Kafka, or `docker compose up -d kafka` and `--bootstrap-servers 127.0.0.1:9092`."
)


def kafka_jars(jars: Path, progress: Progress | None = None) -> list[Path]:
    """Kafka's class path in file order, downloaded to `jars` unless it is there.

    Raises UnavailableError when it has to be downloaded and can not be.
    """
    home = jars / f"kafka-{KAFKA_VERSION}"
    if not _is_whole(home):
        jars.mkdir(parents=True, exist_ok=True)
        with (jars / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another start may be downloading; then its result serves
            if not _is_whole(home):
                _download(jars / "download", home, progress)
    return sorted(home.glob("*.jar"))


def _is_whole(home: Path) -> bool:
    """Whether every file that was downloaded is there in its full size."""
    try:
        lines = (home / _SIZES).read_text().splitlines()
        return bool(lines) and all((home / name).stat().st_size == int(size) for size, name in map(str.split, lines))
    except FileNotFoundError:
        return False


def _download(staging: Path, home: Path, progress: Progress | None) -> None:
    """Resolves the jars in `staging` and moves them to `home` at once."""
    shutil.rmtree(staging, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)
    whole = staging / "whole"
    whole.mkdir(parents=True)
    try:
        resolved = _resolve(staging, progress)
    except (OSError, RuntimeError, ValueError, ElementTree.ParseError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise UnavailableError(
            f"Apache Kafka {KAFKA_VERSION} is not in {home.parent} and can not be downloaded ({_cause(error)})."
            f" {_ALTERNATIVES}"
        ) from error
    for jar in resolved:
        jar.rename(whole / jar.name)
    if (digest := digest_of(whole)) != DIGEST:
        raise UnavailableError(
            f"The jars of Apache Kafka {KAFKA_VERSION} that were downloaded to {whole} have digest {digest}, promised"
            f" is {DIGEST}: they were damaged or changed on the way and are not run. {_ALTERNATIVES}"
        )
    sizes = "".join(f"{jar.stat().st_size} {jar.name}\n" for jar in sorted(whole.glob("*.jar")))
    (whole / _SIZES).write_text(sizes)
    whole.rename(home)
    shutil.rmtree(staging, ignore_errors=True)


def digest_of(folder: Path) -> str:
    """The digest of the jars in a folder: of their contents and names, and of there being no other."""
    sums = (f"{sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n" for jar in sorted(folder.glob("*.jar")))
    return sha256("".join(sums).encode()).hexdigest()


def _resolve(staging: Path, progress: Progress | None) -> list[Path]:
    """Downloads the jars and all they depend on below `staging`; nothing outside it is read or written."""
    from jgo.env import EnvironmentBuilder, LinkStrategy
    from jgo.maven import MavenContext, PythonResolver

    resolver = PythonResolver(progress_callback=_tally(progress) if progress else None)
    context = MavenContext(resolver=resolver, repo_cache=staging / "repository")
    builder = EnvironmentBuilder(context=context, cache_dir=staging / "environment", link_strategy=LinkStrategy.COPY)
    return list(builder.from_endpoint(ENDPOINT).all_jars)


def _tally(progress: Progress) -> Callable[[str, int], AbstractContextManager[Callable[[int], None]]]:
    """jgo's progress, which is per file, as one over the whole download."""
    done_bytes = 0

    @contextmanager
    def of_file(name: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        def add(chunk_bytes: int) -> None:
            nonlocal done_bytes
            done_bytes += chunk_bytes
            progress(name, done_bytes, max(DOWNLOAD_BYTES, done_bytes))

        progress(name, done_bytes, max(DOWNLOAD_BYTES, done_bytes + total_bytes))
        yield add

    return of_file


def _cause(error: BaseException) -> str:
    """The innermost reason in one line, without the URLs and objects that the libraries put around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
