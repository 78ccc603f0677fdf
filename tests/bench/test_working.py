"""Which part of a run counts, and what an event took in it."""

import pytest

from bench.working import Look, run_of


def looks(*done: float) -> list[Look]:
    """A look a second; a tenth of a second of the workers' processor for each, half of it of the broker's."""
    return [Look(float(at), count, 0.1 * at, 0.05 * at) for at, count in enumerate(done)]


def test_run_leaves_out_the_start() -> None:
    """Counted from the last look at which at most a tenth was done."""
    run = run_of(looks(0, 0, 100, 600, 1_000), 1_000, {}, 0)
    assert (run.events, run.rate) == (900, 450)
    assert run.cpu_us == pytest.approx(1e6 * 0.2 / 900)
    assert run.broker_us == pytest.approx(1e6 * 0.1 / 900)


def test_run_that_was_over_at_once() -> None:
    """Where all was done between two looks, it took that long at most."""
    assert run_of(looks(0, 0, 1_000), 1_000, {}, 0).rate == 1_000


def test_steps_are_those_of_all_that_was_done() -> None:
    """The metrics count from the start, so the steps are of all events; a role without commits has none."""
    run = run_of(looks(0, 1_000), 1_000, {'milepost_commit_seconds_sum{step="compute"}': 0.02}, 0)
    assert run.step_us == {"compute": pytest.approx(20), "append": 0, "store": 0, "publish": 0}
    assert run_of(looks(0, 1_000), 1_000, {}, 0).step_us == {}
