"""`python -m tests.budget`: what a thousand events cost, against the budgets; with a scenario, by function."""

import argparse
import sys

import msgspec

from tests.budget.judging import budgets, fallen, grown, place_of
from tests.budget.scenarios import SCENARIOS, Counted

FUNCTIONS = 40
_LIBRARIES = "site-packages/"


def main() -> int:
    """Prints; returns 1 when something is over its budget."""
    arguments = argparse.ArgumentParser(prog="python -m tests.budget", description=__doc__)
    arguments.add_argument("scenario", nargs="?", choices=SCENARIOS, help="prints its work by function")
    arguments.add_argument("--all", action="store_true", help=f"all functions, not only the first {FUNCTIONS}")
    arguments.add_argument("--json", action="store_true", help="the counts alone, of all scenarios")
    wanted = arguments.parse_args()
    if wanted.json:
        found = {name: scenario().cost for name, scenario in SCENARIOS.items()}
        print(msgspec.json.encode(found).decode())
        return 0
    if wanted.scenario:
        _print_functions(SCENARIOS[wanted.scenario](), None if wanted.all else FUNCTIONS)
        return 0
    return _print_costs()


def _print_costs() -> int:
    is_over = False
    for name, scenario in SCENARIOS.items():
        budget, found = budgets()[name], scenario().cost
        print(f'"{name}": {found}')
        for word, each in (("OVER", grown(budget, found)), ("under", fallen(budget, found))):
            print(*(f"    {word} {place_of(name)}: {told}\n" for told in each), sep="", end="")
        is_over |= bool(grown(budget, found))
    return int(is_over)


def _print_functions(counted: Counted, limit: int | None) -> None:
    """Those with the most instructions first; each without what it calls."""
    found = sorted(counted.counter.by_code.items(), key=lambda each: -each[1].instructions)
    print(f"{'instructions':>12} {'calls':>9} {'of C':>9}  per thousand, without what a function calls")
    for code, spent in found[:limit]:
        numbers = [round(each * 1_000 / counted.count) for each in msgspec.structs.astuple(spent)]
        where = code.co_filename.split(_LIBRARIES)[-1].removeprefix(f"{sys.path[0]}/")
        calls, c_calls, instructions = numbers
        print(f"{instructions:12,} {calls:9,} {c_calls:9,}  {code.co_qualname} ({where}:{code.co_firstlineno})")


if __name__ == "__main__":
    sys.exit(main())
