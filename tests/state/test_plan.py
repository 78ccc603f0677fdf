"""What a kind of container reads of a touchpoint is what each of its analyses reads by itself."""

from hypothesis import given

from state.definition_set import DefinitionSet
from state.kinds import VISITS
from state.plan import Plan
from streams.touchpoint import Touchpoint, encode_touchpoint
from tests.state.worlds import definition_sets, restless_touchpoints


@given(definition_sets(), restless_touchpoints())
def test_projections_are_those_of_the_analyses(definitions: DefinitionSet, touchpoints: list[Touchpoint]) -> None:
    """Also where the type alone was seen before: what an analysis says it reads is all that it reads."""
    plan = Plan(definitions.definitions)
    for touchpoint in map(plan.decode, map(encode_touchpoint, touchpoints)):
        for kind in plan.kinds:
            each = [lens.project(touchpoint) for lens in kind.lenses]
            assert kind.project(touchpoint) == (
                each if any(one is not None for one in each) or kind.code == VISITS else None
            )
