"""Explores every configuration and prints how large it is, then what goes wrong without each rule.

python -m tests.model [--large] [--traces]; --large adds five minutes, --traces how each violation comes about.
"""

import sys
import time

from tests.model.configurations import CONFIGURATIONS, LARGE, REFUTED_IN, SECOND_LINES
from tests.model.laws import ALL, SEEN_OUTSIDE, Law
from tests.model.rules import Rules
from tests.model.search import explore
from tests.model.world import Bounds, Setting


def main(arguments: list[str]) -> int:
    """Returns 1 when a law is broken with all rules in place."""
    shows_traces = "--traces" in arguments
    configurations = CONFIGURATIONS | (LARGE if "--large" in arguments else {})
    broken = [_report(name, Rules(), bounds, ALL, shows_traces) for name, bounds in configurations.items()]
    for rule, name in REFUTED_IN.items():
        _report(_without(name, rule), Rules().without(rule), CONFIGURATIONS[name], SEEN_OUTSIDE, shows_traces)
    for rule, (missing, name, law) in SECOND_LINES.items():
        rules = Rules().without(*missing)
        _report(_without(name, *missing), rules, CONFIGURATIONS[name], (law,), shows_traces)
        _report(_without(name, *missing, rule), rules.without(rule), CONFIGURATIONS[name], (law,), shows_traces)
    return int(any(broken))


def _without(name: str, *rules: str) -> str:
    return f"{name}, without {', '.join(rules)}" if rules else name


def _report(text: str, rules: Rules, bounds: Bounds, judged_by: tuple[Law, ...], shows_trace: bool) -> bool:
    started = time.perf_counter()
    outcome = explore(Setting.of(rules, bounds), judged_by)
    took_s = time.perf_counter() - started
    verdict = f"{outcome.law}, after {len(outcome.trace)} steps" if outcome.violation else "holds"
    print(f"{text:70} {outcome.state_count:9,} states {took_s:6.1f} s  {verdict}", flush=True)
    if shows_trace and outcome.violation:
        print(*(f"    {number:2} {line}" for number, line in enumerate(outcome.trace, 1)), sep="\n")
        print(f"       {outcome.violation}")
    return outcome.violation is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
