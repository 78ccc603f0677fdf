"""Which touchpoints count, in which order, and which container they lie in."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from check.touchpoints import SESSION_GAP_MS, load, make_members, open_database, settle
from state.definitions import ContainerKind
from streams.touchpoint import Touchpoint, encode_touchpoint, version_of
from tests.check.batches import arrivals
from tests.oracles.brute import containers_of
from tests.state.worlds import START, touchpoint, touchpoints

GIANT = 2**62


@contextmanager
def database(arrived: Iterable[tuple[int, int, bytes]]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with these records."""
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        load(connection, arrived, {})
        yield connection


def ids(connection: duckdb.DuckDBPyConnection, applied: dict[int, int] | None = None) -> list[str]:
    """The ids that count, in order."""
    settle(connection, applied, {})
    return [event_id for (event_id,) in connection.execute("SELECT event_id FROM touchpoint ORDER BY place").fetchall()]


def test_the_higher_revision_counts_whatever_came_last() -> None:
    """A correction, and a withdrawal that a later revision takes back."""
    arrived = [
        touchpoint("1", 5, "A", revision=2),
        touchpoint("1", 1, "B", revision=1),
        touchpoint("2", 2, withdrawn=True, revision=1),
        touchpoint("2", 2, revision=0),
        touchpoint("3", 3, withdrawn=True, revision=1),
        touchpoint("3", 3, revision=2),
    ]
    with database(arrivals(arrived)) as connection:
        assert ids(connection) == ["3", "1"]


@pytest.mark.parametrize("number", range(4))
def test_of_equal_revisions_the_greater_hash_counts(number: int) -> None:
    """Whichever comes last; what differs between the payloads decides nothing else."""
    pair = [touchpoint("1", number, "A"), touchpoint("1", number, "B")]
    expected = max(pair, key=version_of).type
    for arrived in (pair, pair[::-1]):
        with database(arrivals(arrived)) as connection:
            settle(connection, None, {})
            assert connection.execute("SELECT type FROM touchpoint").fetchall() == [(expected,)]


def test_ties_go_by_sequence_then_id_then_source_by_code_point() -> None:
    """Text is ordered by code points: Z before a before é before an emoji."""
    names = ["a", "Z", "é", "😀", "B"]
    arrived = [touchpoint(name, 1, source_sequence=1) for name in names]
    arrived += [touchpoint("z", 1), touchpoint("a", 1, source="r", source_sequence=1)]
    with database(arrivals(arrived)) as connection:
        assert ids(connection) == ["z", "B", "Z", "a", "a", "é", "😀"]


def test_only_what_was_applied_counts() -> None:
    """Per partition up to its offset; a partition that is not named has none."""
    records = [
        (part, spot, encode_touchpoint(touchpoint(f"{part}{spot}", spot))) for part in "012" for spot in range(3)
    ]
    with database((int(part), spot, value) for part, spot, value in records) as connection:
        assert ids(connection, {0: 1, 1: -1}) == ["00", "01"]
        assert ids(connection, {0: 0, 2: 9}) == ["00", "20", "21", "22"]


def test_a_session_ends_after_more_than_half_an_hour() -> None:
    """Exactly thirty minutes still belong together; only web events of a person without a session id derive one."""
    times = [0, SESSION_GAP_MS, 2 * SESSION_GAP_MS + 1]
    arrived = [touchpoint(str(n), START + at, person="p") for n, at in enumerate(times)]
    arrived += [touchpoint("s", START, person="p", session="given"), touchpoint("c", START, person="p", stream="crm")]
    assert sorted(map(sorted, series(arrived, ContainerKind.SESSION))) == [["0", "1"], ["2"], ["s"]]


def series(arrived: list[Touchpoint], kind: ContainerKind) -> list[list[str]]:
    """The ids of every container, in order."""
    with database(arrivals(arrived)) as connection:
        settle(connection, None, {})
        make_members(connection, kind)
        found = connection.execute(
            "SELECT list(event_id ORDER BY place) FROM member JOIN touchpoint USING (place) GROUP BY container"
        )
        return [members for (members,) in found.fetchall()]


@settings(deadline=None, max_examples=40)
@given(touchpoints(), st.sampled_from(list(ContainerKind)))
def test_oracle_containers_equal_brute_force(arrived: list[Touchpoint], kind: ContainerKind) -> None:
    """The same events in the same order in the same containers."""
    expected = [[each.event_id for each in members] for members in containers_of(arrived, kind.value).values()]
    assert sorted(series(arrived, kind)) == sorted(expected)


def test_what_text_and_numbers_may_be() -> None:
    """Quotes, control characters in attributes and numbers at their bounds come through."""
    attributes = {"a": '"\x00\n\\, é', "b": 2**64 - 1, "c": 0.1}
    arrived = [touchpoint("'\"\\", 7_258_118_399_999, source_sequence=2**63 - 1, value=-GIANT, attributes=attributes)]
    columns = {"a": "a0", "b": "a1", "c": "a2"}
    with duckdb.connect() as connection:
        load(connection, arrivals(arrived), columns)
        settle(connection, None, columns)
        found = connection.execute(
            "SELECT event_id, event_time, source_sequence, value, a0_text, a1_whole, a2_real, a2_shown FROM touchpoint"
        ).fetchall()
    assert found == [
        ("'\"\\", 7_258_118_399_999, 2**63 - 1, -GIANT, '"\x00\n\\, é', 2**64 - 1, 0.1, "0.1"),
    ]


def test_many_files_are_read_one_after_the_other() -> None:
    """More touchpoints than one file takes; nothing is lost between files."""
    one = encode_touchpoint(touchpoint())
    with open_database() as connection:
        assert load(connection, ((0, spot, one) for spot in range(200_001)), {}) == 200_001
        assert connection.execute("SELECT count(*), max(spot) FROM arrived").fetchone() == (200_001, 200_000)
