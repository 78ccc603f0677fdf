"""`milepost destinations` and `milepost deliveries`, on a real Kafka."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from agents.dry_run import dry_run_of
from agents.main import cli
from agents.ordering import delivery_states, give_orders, load_delivery_file
from agents.reading import read_topic
from agents.settings import Settings
from state.delivery.configuration import Digest
from streams.admin import create_topics
from streams.broker import EmbeddedBroker
from streams.delivery import Acknowledge, decode_order
from streams.errors import MilepostError, UnavailableError, UsageError
from streams.topics import topic_name
from tests.agents.delivery.receiver import Reply, receiving
from tests.agents.delivery.worlds import World, alert, change, wait_for, worker

ROOT = Path(__file__).parents[3]
Milepost = Callable[..., str]


@pytest.fixture
def settings(kafka: EmbeddedBroker, prefix: str, tmp_path: Path) -> Settings:
    return Settings(
        folder=tmp_path, prefix=prefix, bootstrap_servers=kafka.bootstrap_servers, partitions=2,
        delivery_private_hosts="127.0.0.1",
    )  # fmt: skip


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    made = World(settings)
    yield made
    made.close()


@pytest.fixture
def milepost(settings: Settings) -> Milepost:
    """A command's output. Raises what it ends with."""

    def run(*arguments: str) -> str:
        options = ["--bootstrap-servers", settings.bootstrap_servers, "--prefix", settings.prefix, "--partitions", "2"]
        result = CliRunner().invoke(cli, [*arguments, *map(str, options)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "delivery").glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_can_be_applied(path: Path) -> None:
    """It is valid."""
    assert load_delivery_file(path).routes


def test_a_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    """By file, line and what would be right."""
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\ndestinations:\n  hook:\n    kind: webhook\n    url: nowhere\nroutes: []\n")
    with pytest.raises(UsageError, match=r"bad.yaml:5:.*no web address"):
        load_delivery_file(path)


@pytest.mark.broker
def test_people_see_and_decide_what_becomes_of_deliveries(
    milepost: Milepost, settings: Settings, world: World, tmp_path: Path
) -> None:
    """From nothing to a file in force, a dry run, a dead delivery that is tried anew, a pause, an acknowledgement."""
    bootstrap = world.bootstrap
    with pytest.raises(UnavailableError, match="topics create"):
        milepost("destinations", "list")
    create_topics(bootstrap, settings.prefix, 0, 2, 1)
    assert "there are none" in milepost("destinations", "list")
    assert "no deliveries" in milepost("deliveries", "list")
    with receiving() as receiver:
        path = tmp_path / "delivery.yaml"
        path.write_text(
            f"version: 1\ndestinations: {{hook: {{kind: webhook, url: '{receiver.url}'}}}}\n"
            "routes: [{name: all, to: [hook], milestones: ['opp*'], tiers: [a], cool_down_s: 60}]\n"
        )
        world.send(alert("Acme", 1), alert("Acme", 2), change("Acme"))
        said = milepost("deliveries", "dry-run", str(path))
        assert "hook: 1" in said  # the second one is cooled down, the audience has no route
        route = load_delivery_file(path).routes[0].model_copy(update={"digest": Digest(at=["08:00"])})
        file = load_delivery_file(path).model_copy(update={"routes": [route]})
        now_ms = time.time_ns() // 1_000_000
        assert dry_run_of(file, bootstrap, settings, now_ms) == []
        (digest,) = dry_run_of(file, bootstrap, settings, now_ms + 86_400_000)
        assert digest.kind == "digest"
        assert "no mistakes" in milepost("destinations", "apply", str(path), "--dry-run")
        assert "1 destinations, 1 routes" in milepost("destinations", "apply", str(path))
        assert "once in 60 s" in milepost("destinations", "list")
        receiver.answer = lambda *_: Reply(404)
        world.send(alert("Beta"))
        with worker(settings) as running:
            wait_for(lambda: any(each.state == "dead" for each in delivery_states(bootstrap, settings)), [running])
            (dead,) = delivery_states(bootstrap, settings)
            said = milepost("deliveries", "list", "--state", "dead")
            assert all(each in said for each in ("HTTP 404", "alert opportunity-created", "Beta"))
            assert msgspec.json.decode(milepost("deliveries", "show", dead.id))["subject"] == "Beta-0"
            receiver.answer = lambda *_: Reply()
            assert "1 are tried anew" in milepost("deliveries", "retry", "--destination", "hook")
            wait_for(lambda: len(receiver.accepted) == 1, [running])
            assert receiver.accepted[0].id == dead.id
            held = "nothing is sent to hook until it is resumed: paused"
            assert held not in milepost("deliveries", "list")
            assert "paused" in milepost("deliveries", "pause", "hook")
            wait_for(lambda: held in milepost("deliveries", "list"), [running])
            assert held in milepost("deliveries", "list", "--destination", "hook")
            assert held not in milepost("deliveries", "list", "--destination", "other")
            assert "sent to" in milepost("deliveries", "resume", "hook")
            wait_for(lambda: held not in milepost("deliveries", "list"), [running])
            for named in ("Beta-0", dead.id):
                assert "acknowledged" in milepost("deliveries", "acknowledge", named)
            topic = topic_name("delivery-orders", settings.prefix, 0)
            orders = [decode_order(each.value or b"") for each in read_topic(bootstrap, topic, [0])]
            assert orders[-2:] == [Acknowledge("Beta-0")] * 2
            give_orders(bootstrap, settings.model_copy(update={"partitions": 1}), Acknowledge("Acme-1"))
            for partition in (0, 1):  # whatever a command's own settings say
                *_, last = read_topic(bootstrap, topic, [partition])
                assert decode_order(last.value or b"") == Acknowledge("Acme-1")
    for arguments, wrong in (
        (("pause", "hoook"), "no destination"),
        (("show", "msg_none"), "no delivery"),
        (("acknowledge", "msg_none"), "no delivery"),
        (("acknowledge", "Beta-7"), "no alert"),
        (("retry", "--destination", "hoook"), "no destination"),
        (("retry", "msg_none"), "no dead delivery"),
        (("retry",), "name ids"),
    ):
        with pytest.raises(MilepostError, match=wrong):
            milepost("deliveries", *arguments)
