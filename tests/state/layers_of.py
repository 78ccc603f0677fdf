"""Definitions as a partition has them that never had others."""

from state.definition_set import DefinitionSet
from state.layers import Layers
from state.plan import Plan


def layers_of(definitions: DefinitionSet) -> Layers:
    """Everything in one layer."""
    return Layers.only(Plan(definitions.every), definitions.hash)
