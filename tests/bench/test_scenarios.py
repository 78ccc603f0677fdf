"""The table of scenarios, and the definitions that they compute."""

import re

from bench.definitions import by_page, so_many
from bench.scenarios import SCENARIO_BY_NAME, SCENARIOS


def test_scenarios_have_names_for_topics() -> None:
    """Each has one of its own, of which a prefix can be made."""
    assert len(SCENARIO_BY_NAME) == len(SCENARIOS)
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", name) for name in SCENARIO_BY_NAME)


def test_definitions() -> None:
    """As many as asked for; those of a smaller number are among those of a greater one, or adding would replace."""
    names = [[each.name for each in so_many(count).analyses] for count in (1, 3, 4, 12)]
    assert [len(each) for each in names] == [1, 3, 4, 12]
    assert so_many(12).analyses[:4] == so_many(4).analyses
    assert [each.name for each in by_page().analyses] == ["views-by-page"]
