"""The definitions in force, as they change, for a worker that runs for months."""

import threading
from collections.abc import Iterator

from agents.read_record import ReadRecord
from agents.reading import Definitions, follow_topic
from agents.settings import Settings
from state.definition_set import DefinitionSet, require_tzdata
from streams.topics import topic_name


class DefinitionsFollower:
    """Reads the definitions topic to its end when it is made, and on in a thread of its own.

    A set is in force when nothing came behind it for a moment, so that one `definitions apply` is one change. What
    the thread fails with is raised by the next call of `current`.
    """

    def __init__(self, bootstrap: str, settings: Settings) -> None:
        """Raises UnavailableError without the topic, MismatchError for definitions that can not be computed here."""
        self._records = Definitions()
        self._failure: BaseException | None = None
        following = follow_topic(bootstrap, topic_name("definitions", settings.prefix, settings.generation))
        self._current = self._settled(following)
        threading.Thread(target=self._follow, args=(following,), name="definitions", daemon=True).start()

    def current(self) -> tuple[int, DefinitionSet]:
        """The end of the topic and the set in force. Any thread may ask."""
        if self._failure is not None:
            raise self._failure
        return self._current

    def _settled(self, following: Iterator[list[ReadRecord]]) -> tuple[int, DefinitionSet]:
        """What is in force when nothing more comes for a moment."""
        for records in following:
            for record in records:
                self._records.apply(record)
            if not records:
                break
        return self._in_force()

    def _in_force(self) -> tuple[int, DefinitionSet]:
        definitions = self._records.in_force()
        require_tzdata(definitions)
        return self._records.end, definitions

    def _follow(self, following: Iterator[list[ReadRecord]]) -> None:
        try:
            for records in following:
                for record in records:
                    self._records.apply(record)
                if not records and self._records.end > self._current[0]:
                    self._current = self._in_force()
        except BaseException as error:  # noqa: BLE001  (whatever it is, the next one who asks ends by it)
            self._failure = error
