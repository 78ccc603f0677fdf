"""What a kind of container reads of a touchpoint is what each of its analyses reads by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from state.definition_set import DefinitionSet
from state.kinds import VISITS
from state.plan import Plan
from streams.touchpoint import Touchpoint, encode_touchpoint
from tests.state.audience_worlds import audience_definition, audiences, with_audiences
from tests.state.milestone_worlds import milestone_sets
from tests.state.worlds import definition_sets, restless_touchpoints

SETS = definition_sets() | milestone_sets() | st.builds(audience_definition, audiences()).map(with_audiences)


@settings(max_examples=50)
@given(SETS, restless_touchpoints())
def test_projections_are_those_of_the_analyses(definitions: DefinitionSet, touchpoints: list[Touchpoint]) -> None:
    """Also where the type alone was seen before: what an analysis says it reads is all that it reads."""
    plan = Plan(definitions.definitions, milestones=definitions.milestones, audiences=definitions.audiences)
    for touchpoint in map(plan.decode, map(encode_touchpoint, touchpoints)):
        for kind in plan.kinds:
            each = [lens.project(touchpoint) for lens in kind.lenses]
            says = kind.code == VISITS or any(projection is not None for projection in each)
            assert kind.project(touchpoint) == (each if says else None)
