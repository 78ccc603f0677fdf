"""What the documentation shows is what the code does: worked examples word for word, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

from check.compare import body_differences
from check.render import body_of
from tests.check.batches import cells_of_sql
from tests.docs.pages import PAGES, Example, Page

DOCUMENTS = [Path("README.md"), *sorted(Path("docs").rglob("*.md")), *sorted(Path("examples").rglob("*.md"))]
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def page_of(path: Path) -> Page:
    """The page as it would be if its examples were computed anew."""
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_examples_print_what_stands_there(path: Path) -> None:
    """Word for word; `python -m tests.docs.pages` writes them anew."""
    page = page_of(path)
    assert page.examples, "a page without an example that this module finds"
    assert page.text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_differential_examples_are_those_of_the_batch(path: Path) -> None:
    """Every analysis of a page, computed in SQL from its touchpoints; arrival in the opposite order changes nothing."""
    for example in {id(each.definitions): each for _, each in page_of(path).examples}.values():
        cells = cells_of_sql(example.touchpoints, example.definitions)
        for definition, found in zip(example.definitions.definitions, cells, strict=True):
            published = example.live().snapshot(definition.analysis.name)
            assert list(body_differences(body_of(definition, found, example.clock_ms), published.body)) == []
            reversed_ = Example(example.touchpoints[::-1], example.definitions, example.clock_ms)
            assert reversed_.live().snapshot(definition.analysis.name).body == published.body


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link is to a file or folder that is there, and to a heading of it where it names one."""
    for target in _LINK.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        found = path.parent / name if name else path
        assert found.exists(), target
        assert not anchor or anchor in anchors_of(found.read_text(encoding="utf-8")), target


def anchors_of(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
