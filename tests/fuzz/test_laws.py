"""The short run of every fuzz target: its good input, spoiled in ways that CI repeats, and mere bytes."""

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz.laws import Target, targets
from tests.fuzz.mutation import mutated

TARGETS = {target.name: target for target in targets()}
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each_target
def test_good_input_is_accepted(target: Target) -> None:
    """The seeds are what the decoder is for; spoiling anything else would try nothing."""
    accepted = [target.law(seed) for seed in target.seeds]
    assert any(accepted)


@each_target
@settings(max_examples=60)
@given(choice=st.integers(0, 2**16), seed=st.integers(0, 2**32))
def test_spoiled_input_breaks_no_law(target: Target, choice: int, seed: int) -> None:
    """Trees and texts with one to four places spoiled."""
    target.law(mutated(target.seeds[choice % len(target.seeds)], target.form, Random(seed)))


@each_target
@settings(max_examples=30)
@given(data=st.binary(max_size=200))
@example(data=b"")
def test_mere_bytes_break_no_law(target: Target, data: bytes) -> None:
    """Bytes that were never anything."""
    target.law(data)
