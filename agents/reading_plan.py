"""What the rows of a worker's partitions are read with."""

from state.definition_set import Definition, DefinitionSet
from state.layers import Current, LayerReader, Layers, Plans
from streams.errors import UnavailableError
from streams.store import Rows


class ReadingPlan:
    """The definitions in force, and the layers of each reading. Plans are compiled once; any thread may ask."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._plans: Plans = {}

    @property
    def definitions(self) -> DefinitionSet:
        """Those in force now."""
        return self._current()[1]

    def layers(self, rows: Rows) -> Layers:
        """The layers of a partition, as a reading has it."""
        return LayerReader(rows, self._current, self._plans).layers()

    def is_complete(self, rows: Rows, version: str) -> bool:
        """Whether an analysis counts every account of the partition."""
        return _counts_all(self.layers(rows), version)

    def complete_layers(self, rows: Rows, definition: Definition) -> Layers:
        """The same. Raises UnavailableError when the analysis does not count every account of the partition."""
        layers = self.layers(rows)
        if not _counts_all(layers, definition.version):
            raise UnavailableError(f"{definition.analysis.name} does not count all accounts yet; ask again in a moment")
        return layers


def _counts_all(layers: Layers, version: str) -> bool:
    return version in layers.in_force - layers.incomplete()
