"""The long run, one target after the other: `python -m tests.fuzz [--seconds 300] [--folder build/fuzzing] [TARGET...]`

With atheris (Linux; `make fuzz` installs it beside the environment) it is guided by coverage and remembers its corpus;
elsewhere the same targets get random spoils. Ends with 1 when there were findings; their input is in the folder.
"""

import re
import subprocess
import sys
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from random import Random

import click

from tests.fuzz.laws import Target, targets
from tests.fuzz.mutation import mutated

FINDINGS_MAX = 20
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


@click.command()
@click.option("--seconds", default=300, show_default=True, help="For each target.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("build/fuzzing"), show_default=True)
@click.argument("names", nargs=-1)
def command(seconds: int, folder: Path, names: tuple[str, ...]) -> None:
    """Fuzzes every target, or those that are named."""
    known = {target.name: target for target in targets()}
    if unknown := sorted(set(names) - set(known)):
        raise click.UsageError(f"{', '.join(unknown)}: there are {', '.join(known)}")
    run = guided if find_spec("atheris") else random_only
    found = False
    for name in names or known:
        started = time.monotonic()
        executions, findings = run(known[name], seconds, folder)
        took_s = time.monotonic() - started
        click.echo(f"{name}: {executions:,} inputs in {took_s:.0f} s, {len(findings)} findings")
        for finding in findings:
            click.echo(f"  {finding}")
        found = found or bool(findings)
    sys.exit(found)


def guided(target: Target, seconds: int, folder: Path) -> tuple[int, list[Path]]:
    """Runs atheris until the time is over, afresh after each finding. Returns how many inputs, and the findings."""
    corpus, found, logs = (folder / part / target.name for part in ("corpus", "findings", "logs"))
    for each in (corpus, found, logs):
        each.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    before = set(found.iterdir())
    executions, deadline = 0, time.monotonic() + seconds
    for attempt in range(FINDINGS_MAX):
        left = int(deadline - time.monotonic())
        if left < 1:
            break
        log = logs / f"{attempt}.log"
        command = [sys.executable, "-m", "tests.fuzz.one", target.name, str(left), str(corpus), str(found)]
        with log.open("wb") as out:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
        executions += sum(map(int, _EXECUTED.findall(log.read_text(errors="replace"))))
    return executions, sorted(set(found.iterdir()) - before)


def random_only(target: Target, seconds: int, folder: Path) -> tuple[int, list[Path]]:
    """Spoils seeds at random until the time is over. Hangs are not noticed."""
    found = folder / "findings" / target.name
    found.mkdir(parents=True, exist_ok=True)
    findings: list[Path] = []
    executions, deadline = 0, time.monotonic() + seconds
    random = Random(0)
    while time.monotonic() < deadline and len(findings) < FINDINGS_MAX:
        data = mutated(random.choice(target.seeds), target.form, random)
        executions += 1
        try:
            target.law(data)
        except Exception:  # noqa: BLE001 - any exception is what is looked for
            path = found / f"random-{executions}"
            path.write_bytes(data)
            path.with_suffix(".txt").write_text(traceback.format_exc())
            findings.append(path)
    return executions, findings


if __name__ == "__main__":
    command()
