"""Breadth first through all states, so that the first violation has a shortest trace."""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model import laws, owner
from tests.model.environment import mishaps
from tests.model.laws import Law
from tests.model.world import Setting, State, Step, initial


class Outcome(NamedTuple):
    """law: the name of the broken one. violation: what is wrong, None when all holds. trace: how it came to that."""

    state_count: int
    law: str | None = None
    violation: str | None = None
    trace: tuple[str, ...] = ()


def successors(setting: Setting, state: State) -> Iterator[Step]:
    yield from mishaps(setting, state)
    for i in (0, 1):
        yield from owner.steps(setting, state, i)


def explore(setting: Setting, judged_by: tuple[Law, ...] = laws.ALL) -> Outcome:
    """All states. Beside the laws: from every state the owner can still come to have nothing left to do."""
    return _Search(setting, judged_by).run()


class _Search:
    def __init__(self, setting: Setting, judged_by: tuple[Law, ...]) -> None:
        self._setting = setting
        self._everywhere = [law for law in judged_by if law in laws.EVERYWHERE]
        self._quiet = [law for law in judged_by if law in laws.QUIET]
        self._states = [initial(setting)]
        self._number_by_state = {self._states[0]: 0}
        self._origins: list[tuple[int, str]] = [(0, "")]
        self._predecessors: list[list[int]] = [[]]

    def run(self) -> Outcome:
        quiet: list[int] = []
        number = 0
        while number < len(self._states):
            state = self._states[number]
            is_quiet = laws.is_quiet(self._setting, state)
            if is_quiet:
                quiet.append(number)
            if wrong := self._judge(state, is_quiet):
                return Outcome(len(self._states), *wrong, self._trace(number))
            for text, after in successors(self._setting, state):
                self._visit(number, text, after)
            number += 1
        return self._stuck(quiet)

    def _judge(self, state: State, is_quiet: bool) -> tuple[str, str] | None:
        for law in (*self._everywhere, *self._quiet) if is_quiet else self._everywhere:
            if wrong := law(self._setting, state):
                return law.__name__, wrong
        return None

    def _visit(self, origin: int, text: str, state: State) -> None:
        number = self._number_by_state.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            self._origins.append((origin, text))
            self._predecessors.append([])
        self._predecessors[number].append(origin)

    def _stuck(self, quiet: list[int]) -> Outcome:
        """States from which no quiet one is reached."""
        reached, todo = set(quiet), quiet
        while todo:
            fresh = [origin for origin in self._predecessors[todo.pop()] if origin not in reached]
            reached.update(fresh)
            todo.extend(set(fresh))
        for number in range(len(self._states)):
            if number not in reached:
                text = "from here on the owner never has nothing left to do"
                return Outcome(len(self._states), "becomes_quiet", text, self._trace(number))
        return Outcome(len(self._states))

    def _trace(self, number: int) -> tuple[str, ...]:
        texts: list[str] = []
        while number:
            number, text = self._origins[number]
            texts.append(text)
        return tuple(reversed(texts))
