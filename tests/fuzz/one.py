"""One target in a process of its own, coverage-guided by atheris until the time is over; a finding ends it.

Usage: python -m tests.fuzz.one TARGET SECONDS CORPUS FINDINGS. What libFuzzer says goes to standard error.
"""

import sys
from random import Random

import atheris

with atheris.instrument_imports(include=["streams", "state", "agents"]):
    from tests.fuzz.laws import targets
from tests.fuzz.mutation import mutated

INPUT_BYTES_MAX = 20_000
SECONDS_MAX = 10  # of one input, on a machine that does other things too
MEMORY_MB_MAX = 1_500


def main() -> None:
    """Runs until the time is over (exit code 0) or a law is broken (another code; the input is in FINDINGS)."""
    name, seconds, corpus, findings = sys.argv[1:]
    target = next(target for target in targets() if target.name == name)

    def law(data: bytes) -> None:
        target.law(data)

    def spoil(data: bytes, size_max: int, seed: int) -> bytes:
        # One half by the form, the other as libFuzzer does it, which knows from comparisons what was asked for.
        if seed % 2:
            return atheris.Mutate(data, size_max)
        return mutated(data, target.form, Random(seed))[:size_max]

    options = [
        f"-max_total_time={seconds}", f"-timeout={SECONDS_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-max_len={INPUT_BYTES_MAX}", f"-artifact_prefix={findings}/{name}-", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, corpus], law, custom_mutator=spoil)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
