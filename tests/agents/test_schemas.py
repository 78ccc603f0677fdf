"""The exported JSON Schemas are those of the code, and the examples are what they say."""

from pathlib import Path

import pytest

from agents.commands.schemas import SCHEMA_BY_FILE, schema_text, settings_text
from agents.defining import load_definitions
from agents.settings import Settings
from streams.mapping.model import load_mapping

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", SCHEMA_BY_FILE)
def test_an_exported_schema_is_the_code_s(name: str) -> None:
    """`milepost schemas` was run after the last change."""
    assert (ROOT / "schemas" / name).read_text(encoding="utf-8") == schema_text(name)


def test_the_list_of_settings_is_the_code_s() -> None:
    """Every setting is described, and the page is up to date."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_text()
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "definitions").glob("*.yaml")), ids=lambda p: p.name)
def test_an_example_of_definitions_can_be_applied(path: Path) -> None:
    """It is valid and has an analysis."""
    assert load_definitions(path).analyses


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "mappings").glob("*.yaml")), ids=lambda p: p.name)
def test_an_example_of_a_mapping_can_be_used(path: Path) -> None:
    """It is valid and makes an event."""
    assert load_mapping(path).mapping.events
