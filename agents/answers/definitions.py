"""What a worker publishes for others: one analysis, by the code of `milepost definitions apply`."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agents.answers.request import Parameters, ProblemError
from agents.defining import OutdatedError, one_definition, put_definition
from agents.settings import Settings
from streams.answers import DefinitionAnswer
from streams.shown import shown

WAIT_S_MAX = 5.0


class DefinitionAnswers:
    """One is published at a time. Which it was is a function of the topic, so any worker may."""

    def __init__(self, bootstrap: str, settings: Settings) -> None:
        self._bootstrap = bootstrap
        self._settings = settings
        self._publishing = threading.Lock()

    def put(self, name: str, parameters: Parameters, body: bytes) -> DefinitionAnswer:
        """Publishes the analysis of this name. Raises ProblemError, of 409 where another version is in force than
        `replaces` says."""
        replaces = parameters.text("replaces")
        parameters.require_all_taken()
        file = one_definition(body)
        found = file.analyses[0].name
        if found != name:
            raise ProblemError(400, f"analyses[0].name is {found!r}, and the address says {shown(name, 100)!r}")
        with self._turn():
            try:
                put = put_definition(file, replaces, self._bootstrap, self._settings, int(time.time() * 1000))
            except OutdatedError as error:
                raise ProblemError(409, str(error), version=error.version) from error
        return DefinitionAnswer(analysis=name, version=put.version, replaced=put.replaced, is_changed=put.is_changed)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._publishing.acquire(timeout=WAIT_S_MAX):
            raise ProblemError(503, "other definitions are being published; ask again in a moment")
        try:
            yield
        finally:
            self._publishing.release()
