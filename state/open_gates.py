"""Whether the gates of filters are open for containers, as the rows say it."""

from state.analyses.gate import Gate
from state.analyses.segment import OfPersonLens
from state.containers import Container, Containers
from state.definitions import ContainerKind
from state.kinds import CODE_BY_KIND
from state.rows import parts_of, place_at
from streams.partials import Cell


class OpenGates:
    """Remembers the outer container that was asked for last, for containers are read account by account."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._last: tuple[str, bytes, bool] | None = None

    def let_in(self, container: Container, number: int) -> bool:
        """Whether all outer containers let one count in the analysis with this number in its plan."""
        lens = container.plan.lenses[number]
        for level in lens.under:
            outer = _outer_of(container, number, level.kind)
            if outer is None or not self._is_open(lens.version, outer, level.gate):
                return False
        return True

    def lets_itself_in(self, container: Container, number: int) -> bool:
        """Whether a container has what the filter asks of it; of a derived session the state says it."""
        lens = container.plan.lenses[number]
        return lens.gate is None or lens.gate.is_open(
            self._containers.tally(lens.version, container.place, lens.gate.cells)
        )

    def counts(self, container: Container, number: int) -> dict[Cell, int]:
        """How many containers under one have what the filter asks of some of them, by the cells of its gate."""
        lens = container.plan.lenses[number]
        cells = () if lens.gate is None else lens.gate.counts
        return self._containers.tally(lens.version, container.place, cells) if cells else {}

    def _is_open(self, version: str, outer: bytes, gate: Gate[Cell]) -> bool:
        if self._last is None or self._last[:2] != (version, outer):
            self._last = version, outer, gate.is_open(self._containers.tally(version, outer, gate.cells))
        return self._last[2]


def _outer_of(container: Container, number: int, kind: ContainerKind) -> bytes | None:
    """The place of the container of a kind that one lies under; None for a session without a person."""
    account, _, id_ = parts_of(container.place)
    if kind is ContainerKind.ACCOUNT:
        return place_at(account, CODE_BY_KIND[kind], b"")
    lens = container.plan.lenses[number]
    if isinstance(lens, OfPersonLens):
        person = lens.person_of(container.row.states[number])
        return None if person is None else place_at(account, CODE_BY_KIND[kind], person.encode())
    return place_at(account, CODE_BY_KIND[kind], id_)
