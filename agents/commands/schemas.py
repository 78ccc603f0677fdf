"""`milepost schemas`: the JSON Schemas of what people and other systems write and read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from prometheus_client.metrics import MetricWrapperBase

from agents import metrics
from agents.settings import Settings
from state.definitions import DefinitionFile
from state.delivery.configuration import DeliveryFile
from state.delivery.formats.message import WebhookMessage
from state.journeys import Journey
from streams.alert import Alert
from streams.answers import (
    CellsAnswer,
    DefinitionAnswer,
    PreviewAnswer,
    Problem,
    SearchAnswer,
    StoryAnswer,
    ValuesAnswer,
    WhyAnswer,
)
from streams.event import Event
from streams.mapping.model import Mapping
from streams.membership import MembershipChange
from streams.snapshot import Snapshot

_ANSWERS = (StoryAnswer, CellsAnswer, WhyAnswer, SearchAnswer, ValuesAnswer, DefinitionAnswer, PreviewAnswer, Problem)


def _answers() -> dict[str, Any]:
    """What workers answer: any of these."""
    schemas, components = msgspec.json.schema_components(_ANSWERS, ref_template="#/$defs/{name}")
    return {"anyOf": list(schemas), "$defs": components}


SCHEMA_BY_FILE: dict[str, Callable[[], dict[str, Any]]] = {
    "event.v1.json": Event.model_json_schema,
    "definitions.v1.json": DefinitionFile.model_json_schema,
    "mapping.v1.json": Mapping.model_json_schema,
    "alert.v1.json": lambda: msgspec.json.schema(Alert),
    "delivery.v1.json": DeliveryFile.model_json_schema,
    "delivery-message.v1.json": lambda: msgspec.json.schema(WebhookMessage),
    "membership-change.v1.json": lambda: msgspec.json.schema(MembershipChange),
    "journey.v1.json": lambda: msgspec.json.schema(Journey),
    "snapshot.v1.json": lambda: msgspec.json.schema(Snapshot),
    "answers.v1.json": _answers,
}


def schema_text(name: str) -> str:
    """One schema as it stands in its file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMA_BY_FILE[name]()}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def settings_text() -> str:
    """`docs/settings.md`: every setting with its default, and every metric."""
    rows = [
        f"| `MILEPOST_{name.upper()}` | {'' if field.default_factory or field.default is None else field.default} "
        f"| {field.description or ''} |"
        for name, field in Settings.model_fields.items()
    ]
    head = (
        "# Settings\n\nFrom the environment; the options `--bootstrap-servers`, `--prefix`, `--folder`, `--generation` "
        "and `--partitions`\nof every command but `schemas`, and `--worker-id` of `worker`, win over it. Written by "
        "`milepost schemas`.\n\n| variable | default | |\n|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n" + _metrics_text()


def _metrics_text() -> str:
    """Every metric of ours, as it is served."""
    ours = (each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase))
    rows = (f"| `{_served(each)}` | {', '.join(each._labelnames)} | {each._documentation} |\n" for each in ours)
    head = (
        "\n## Metrics\n\nFor Prometheus at `/metrics` of `MILEPOST_METRICS_PORT`, of each worker for itself, beside "
        "those of its process.\n\n| metric | labels | what it says, and what to do |\n|---|---|---|\n"
    )
    return head + "".join(rows)


def _served(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("schemas"), show_default=True)
def command(out: Path) -> None:
    """Writes the JSON Schemas, so that editors complete files and readers can check records."""
    out.mkdir(parents=True, exist_ok=True)
    for name in SCHEMA_BY_FILE:
        (out / name).write_text(schema_text(name), encoding="utf-8")
        click.echo(str(out / name))
    if out == Path("schemas") and Path("docs").is_dir():
        Path("docs/settings.md").write_text(settings_text(), encoding="utf-8")
        click.echo("docs/settings.md")
