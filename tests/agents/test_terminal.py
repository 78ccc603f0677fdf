"""What a terminal shows of a snapshot: complete lines, whole numbers, also without colour and when it is narrow."""

import csv
import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from agents.terminal.csv_rows import csv_rows
from agents.terminal.marks import bar, cut, percent, tenths
from agents.terminal.view import view_of
from streams.snapshot import CanvasSnapshot, CohortSnapshot, FlowSnapshot, Snapshot
from tests.agents.snapshot_worlds import DEFINITIONS, match, snapshots
from tests.state.worlds import definition_set


def shown(snapshot: Snapshot, width: int = 100, rows_max: int | None = None, colour: bool = False) -> str:
    """The view as text."""
    console = Console(width=width, file=io.StringIO(), color_system="truecolor" if colour else None,
                      force_terminal=colour, no_color=not colour)  # fmt: skip
    console.print(view_of(snapshot, rows_max))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def line_of(text: str, beginning: str) -> str:
    """The first line with that text in it."""
    return next(line for line in text.splitlines() if beginning in line)


def test_canvas_is_a_tree() -> None:
    """Each node once with its figures, below the first that leads to it; a further arrow points there."""
    text = shown(snapshots()["way"])
    assert "The way to a deal" in text
    assert "4,000 accounts in all" in text
    assert "best: 2.3% of all accounts come to Closed-Won (90)" in text
    form = line_of(text, "Lead form")
    assert all(part in form for part in ("1,600", "40.0%", "100.0%", "900  56.3%"))
    demo = line_of(text, "└─ Demo")
    assert all(part in demo for part in ("900", "22.5%", "45.0%", "700  43.8%", "810  90.0%"))
    assert line_of(text, "└─ Closed-Won").startswith("   └─ Closed-Won")
    again = text.splitlines()[text.splitlines().index(line_of(text, "Trade fair")) + 1]
    assert all(part in again for part in ("└─ Demo", "↑ above", "250  31.3%"))


def test_bars_are_as_long_as_their_counts() -> None:
    """Half the containers, half the bar; anything above 0 is seen."""
    text = shown(snapshots()["way"])
    assert line_of(text, "Lead form").split()[2] == "█" * 17
    assert line_of(text, "Trade fair").split()[2] == "█" * 8 + "▌"
    assert (bar(1, 10**9, 20), bar(0, 5, 20), bar(3, 0, 20), bar(9, 5, 4)) == ("▏", "", "", "████")


def test_narrow_terminal_keeps_names_and_counts() -> None:
    """Shares go before names do; counts stay whole."""
    text = shown(snapshots()["way"], width=60)
    assert "of total" not in text
    assert all(part in text for part in ("Lead form", "1,600", "Closed-Won", "90"))


def test_values_have_their_decimals() -> None:
    """A canvas of value shows money, and no shares of containers."""
    canvas = {"name": "way", "kind": "canvas", "container": "person", "metric": "value",
              "nodes": [{"id": "deal", "match": match("deal")}]}  # fmt: skip
    (definition,) = definition_set([canvas]).definitions
    made = snapshots(definition_set([canvas]))["way"]
    body = {"total": 3, "nodes": {"deal": ["1234567.5", None, None, None, None, None, None]}, "arrows": {}}
    assert isinstance(made, CanvasSnapshot)
    text = shown(msgspec.structs.replace(made, body=msgspec.convert(body, type(made.body))))
    assert "1,234,567.5" in line_of(text, "deal")
    assert "of total" not in text
    assert definition.analysis.name == "way"


def test_a_filter_is_said() -> None:
    """Readers see that not all containers count."""
    filtered = {
        "name": "way",
        "kind": "canvas",
        "container": "person",
        "nodes": [{"id": "deal", "match": match("deal")}],
    }
    chosen = filtered | {"filter": {"has": {"match": match("deal")}}}
    plain, few = (shown(snapshots(definition_set([each]))["way"]) for each in (filtered, chosen))
    assert "filtered" in few
    assert "filtered" not in plain


def test_cohort_marks_what_is_running() -> None:
    """Shares per period; a star where the period is not over, a dot where it has not begun."""
    text = shown(snapshots()["months"])
    assert line_of(text, "2026-02").split() == ["2026-02", "1,200", "20.0", "█", "5.0*▃", "·", "·"]
    assert line_of(text, "2026-03").split() == ["2026-03", "1,000", "10.0*▅", "·", "·", "·"]
    assert line_of(text, "average").split() == ["average", "20.0", "█", "·", "·", "·"]
    assert "* the period is not over" in text


def test_cohort_says_what_does_not_fit() -> None:
    """Columns by the width, rows by the height: never silently."""
    text = shown(snapshots()["months"], width=44)
    assert "Periods that do not fit: 2;" in text
    assert "2026-02" not in shown(snapshots()["months"], rows_max=1)
    assert "Earlier rows that are not shown: 1." in shown(snapshots()["months"], rows_max=1)


def test_cohort_in_colour_has_no_marks_for_levels() -> None:
    """Heat says it; the figures are the same."""
    text = shown(snapshots()["months"], colour=True)
    assert "█" not in text
    assert "20.0" in text
    assert "\x1b[" in text


def test_flow_has_columns_and_paths() -> None:
    """Columns in the order of time, the rest with how many it is, where paths begin, and whole paths."""
    text = shown(snapshots()["content"])
    assert line_of(text, "2 before").split() == ["2", "before", "1", "before", "anchor"]
    assert all(part in text for part in ("Webinar", "Blog", "more (1 item)", "begin here", "95 paths of accounts"))
    assert line_of(text, "Webinar → Blog → MQL").split()[:2] == ["50", "52.6%"]


def test_flow_says_how_many_columns_do_not_fit() -> None:
    """The nearest to the anchor stay."""
    text = shown(snapshots()["content"], width=40)
    assert "Columns that do not fit: 1;" in text
    assert "2 before" not in text


def test_flow_of_containers_has_no_paths() -> None:
    """Distinct containers have no whole paths, and their rest no count."""
    flow = {"name": "content", "kind": "flow", "container": "account", "dimension": "type", "count": "containers",
            "top": 1}  # fmt: skip
    cells = {("content", ("n", 0, "a")): 5, ("content", ("n", 0, "b")): 4, ("content", ("x", 0, "a", 1)): 2}
    text = shown(snapshots(definition_set([flow]), cells=cells)["content"])
    assert "Most frequent" not in text
    assert all(part in text for part in ("9 accounts in all", "first", "more (1 item)", "end here"))


def shop(**options: Any) -> FlowSnapshot:
    """A flow through a shop that comes back to what it had."""
    flow = {"name": "shop", "kind": "flow", "container": "account", "dimension": "content", "starts_with": "Add",
            "columns": 4, **options}  # fmt: skip
    cells = {
        ("shop", ("o", 1, (), ("Add", "Products", "Add", "Confirm"))): 3,
        ("shop", ("o", 1, (), ("Add", "Confirm"))): 1,
    }
    made = snapshots(definition_set([flow]), cells=cells)["shop"]
    assert isinstance(made, FlowSnapshot)
    return made


def test_flow_marks_what_comes_again() -> None:
    """A loop is seen in its path: the item has a mark where it comes again, and the mark is explained."""
    text = shown(shop())
    assert line_of(text, "75.0% Add").split(maxsplit=2)[2].strip() == "Add → Products → Add ↻ → Confirm"
    assert line_of(text, "25.0% Add").split(maxsplit=2)[2].strip() == "Add → Confirm"
    assert "↻ was in the path before" in text
    assert "↻" not in shown(snapshots()["content"])


STAGED = {"stages": ["Add", "Pay", "Products", "Confirm"]}


def test_flow_marks_what_skips_stages_and_goes_back() -> None:
    """Behind the item, in one order; only the signs that stand there are explained."""
    text = shown(shop(**STAGED))
    assert line_of(text, "75.0% Add").split(maxsplit=2)[2].strip() == "Add → Products ↷ → Add ↻ ↶ → Confirm ↷"
    assert all(said in text for said in ("↷ skips a stage", "↶ goes back to an earlier stage", "↻ was in the path"))
    only_back = shown(shop(stages=["Confirm", "Add"]))
    assert "↶ goes back" in only_back
    assert "↷" not in only_back


def test_csv_of_a_flow_has_marks() -> None:
    """A link's own, and those of a path by its steps; what has none is empty."""
    table = io.StringIO()
    csv.writer(table).writerows(csv_rows(shop(**STAGED)))
    found = list(csv.DictReader(io.StringIO(table.getvalue())))
    marks = {
        (row["what"], row["item"], row["to_item"]): row["marks"] for row in found if row["what"] in ("link", "sequence")
    }
    assert marks == {
        ("link", "Add", "Products"): "skip",
        ("link", "Add", "Confirm"): "skip",
        ("link", "Products", "Add"): "back",
        ("sequence", "Add > Products > Add > Confirm", ""): "1:skip 2:loop 2:back 3:skip",
        ("sequence", "Add > Confirm", ""): "1:skip",
    }
    assert {row["marks"] for row in found if row["what"] not in ("link", "sequence")} == {""}


def test_the_same_text_of_another_dimension_does_not_come_again() -> None:
    """Nor is the title of a condition an item that a value could repeat."""
    assert "↻" not in shown(shop(steps=[{"step": 2, "dimension": "type"}]))
    assert "↻" not in shown(shop(starts_with={"match": match("a"), "title": "Add"}))


def test_flow_says_what_its_columns_have_of_their_own() -> None:
    """Dimensions and filters stand above the items, and how many paths are left out beside the total."""
    steps = [{"step": 1, "dimension": "channel", "except": ["Confirm"]}, {"step": 3, "only": ["Confirm", "Pay"]}]
    text = shown(shop(steps=steps))
    assert "3 paths of accounts in all" in text
    assert "1 more that the columns' filters leave out" in text
    assert line_of(text, "by channel").split() == ["by", "channel"]
    assert line_of(text, "not Confirm").split() == ["not", "Confirm", "only", "Confirm", "or", "Pay"]
    assert max(len(line) for line in shown(shop(steps=steps), 60).splitlines()) <= 60
    table = io.StringIO()
    csv.writer(table).writerows(csv_rows(shop(steps=steps)))
    found = list(csv.DictReader(io.StringIO(table.getvalue())))
    assert {row["dimension"] for row in found if row["step"] == "1" and row["what"] == "item"} == {"channel"}
    assert [row["count"] for row in found if row["what"] == "left_out"] == ["1"]


@pytest.mark.parametrize("width", [40, 80, 100, 160])
@pytest.mark.parametrize("name", ["way", "months", "content"])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    """A wrapped table can not be read."""
    for factor in (0, 1, 10**9):
        assert max(len(line) for line in shown(snapshots(factor=factor)[name], width).splitlines()) <= width


def test_tenths_are_rounded_half_up() -> None:
    """Like the hundredths that a share has, and not as binary fractions happen to lie."""
    assert [tenths(share) for share in (2.25, 4.35, 0.04, 0.05, 99.95)] == ["2.3", "4.4", "0.0", "0.1", "100.0"]
    assert (percent(12.5), percent(None)) == ("12.5%", "–")


def test_names_are_cut_to_one_line() -> None:
    """A name of several lines stays on one, and shows that it was cut."""
    assert (cut("a\n b", 5), cut("abcdef", 4), cut("abc", 0)) == ("a b", "abc…", "…")


def rows(name: str) -> list[dict[str, Any]]:
    """The CSV of an analysis, read back."""
    text = io.StringIO()
    csv.writer(text).writerows(csv_rows(snapshots()[name]))
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def test_csv_of_a_canvas_has_nodes_and_arrows() -> None:
    """One row each; what does not apply is empty."""
    found = rows("way")
    assert [(row["what"], row["node"], row["to"]) for row in found] == [
        ("node", "form", ""), ("node", "fair", ""), ("node", "demo", ""), ("node", "deal", ""),
        ("arrow", "form", "demo"), ("arrow", "fair", "demo"), ("arrow", "demo", "deal"), ("best", "", "deal"),
    ]  # fmt: skip
    assert (found[2]["title"], found[2]["count"], found[2]["of_previous"], found[2]["fallout"]) == (
        "Demo", "900", "45.0", "810",
    )  # fmt: skip
    assert (found[4]["count"], found[4]["share"], found[4]["of_total"]) == ("700", "43.75", "")
    assert (found[7]["count"], found[7]["share"]) == ("90", "2.25")


def test_csv_of_a_cohort_has_the_cells_that_have_begun() -> None:
    """A row per cell, and whether its period is over."""
    assert [tuple(row.values())[:7] for row in rows("months")] == [
        ("2026-02", "1200", "0", "240", "20.0", "no", "1200"),
        ("2026-02", "1200", "1", "60", "5.0", "yes", "1200"),
        ("2026-03", "1000", "0", "100", "10.0", "yes", "1000"),
    ]


def test_csv_of_a_flow_has_everything() -> None:
    """Items, the rest, exits, links and whole paths in the order of time."""
    found = rows("content")
    by_what: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        by_what.setdefault(row["what"], []).append(row)
    assert {what: len(each) for what, each in by_what.items()} == {
        "item": 4, "more": 3, "exit": 3, "link": 4, "sequence": 4,
    }  # fmt: skip
    assert (by_what["sequence"][0]["item"], by_what["sequence"][0]["count"]) == ("Webinar > Blog > MQL", "50")


def test_every_kind_has_a_view() -> None:
    """The three kinds are those of the format."""
    kinds = {type(snapshot) for snapshot in snapshots().values()}
    assert kinds == {CanvasSnapshot, CohortSnapshot, FlowSnapshot}
    assert len(DEFINITIONS.definitions) == 3


HOSTILE = "\x1b[2J\x9b1m[bold]\u202ex\r\ny"


def test_a_terminal_obeys_nothing_of_a_value() -> None:
    """Names and values come from events and files: escape sequences, markup and breaks among them are shown."""
    flow = snapshots()["content"]
    assert isinstance(flow, FlowSnapshot)
    body = msgspec.to_builtins(flow.body)
    body["columns"][0]["items"][0][0] = body["sequences"][0][1][0] = HOSTILE
    hostile = msgspec.structs.replace(flow, body=msgspec.convert(body, type(flow.body)), title=HOSTILE)
    text = shown(hostile, width=200)
    assert text.count("\\x1b[2J\\x9b1m[bold]\\u202ex y") >= 2
    assert all(sign == "\n" or sign.isprintable() for sign in text)
