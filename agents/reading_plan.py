"""What the rows of a worker's partitions are read with."""

from functools import cached_property

from state.definition_set import DefinitionSet
from state.plan import Plan


class ReadingPlan:
    """The definitions in force and what they compile to."""

    def __init__(self, definitions: DefinitionSet) -> None:
        self.definitions = definitions

    @cached_property
    def plan(self) -> Plan:
        """Compiled when first asked for."""
        return Plan(self.definitions)
