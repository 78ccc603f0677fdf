"""What is done to workers, disks, network and brokers. Each fault heals what it broke before it returns.

A fault is a function of the world and a random generator; what it returns is its line in the timeline. `cheap` ones
take seconds and are part of CI.
"""

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from agents.ordering import configure_of
from chaos.brokers import PRODUCER_EXPIRATION_MS, Broker
from chaos.fleet import Worker, copy_folder
from chaos.outlet import DESTINATION, failing, routed_to, unreachable
from chaos.world import DELETE_RETENTION_MS, SESSION_S, World
from streams.crash import CRASH_POINTS
from streams.delivery import Pause, Resume
from tests.agents.delivery.receiver import accept

Act = Callable[[World, random.Random], str]
REQUEST_TIMEOUT_S = 15.0
STOP_S_MAX = 12.0
"""Within this a worker must have stopped when it is told to and Kafka answers."""


class Fault(msgspec.Struct, frozen=True):
    """name: as in `--faults`. brokers_min: how many nodes it takes. needs_compaction: makes sense only with it."""

    name: str
    act: Act
    cheap: bool = False
    brokers_min: int = 1
    needs_compaction: bool = False


def _one(world: World, rng: random.Random) -> Worker:
    return rng.choice(world.fleet.wanted())


# --- workers


def kill(world: World, rng: random.Random) -> str:
    """kill -9 at any moment; the fleet starts it again."""
    worker = _one(world, rng)
    worker.kill()
    return f"kill -9 {worker.name}"


def kill_while_taking_over(world: World, rng: random.Random) -> str:
    """Killed again while it starts, restores or the group rebalances."""
    worker = _one(world, rng)
    waits = [round(rng.uniform(0.3, 4.0), 1) for _ in range(rng.randint(2, 3))]
    for seconds in waits:
        with world.fleet.turn:
            worker.kill()
            worker.start()
        world.wait(seconds)
    worker.kill()
    return f"kill -9 {worker.name} again and again, {waits} s into its start"


def crash_at(world: World, rng: random.Random) -> str:
    """A worker that ends at a point of its cycle, once or twice in a row."""
    worker = _one(world, rng)
    points = [f"{rng.choice(CRASH_POINTS)}:{rng.choice((1, 1, 2, 5, 20))}" for _ in range(rng.randint(1, 2))]
    reached = []
    for point in points:
        with world.fleet.turn:
            worker.kill()
            worker.start(MILEPOST_CRASH_AT=point)
            if world.wait_until(lambda: not worker.lives(), 12):
                reached.append(point)
    with world.fleet.turn:
        worker.kill()
        worker.start()
    return f"{worker.name} was to end at {points} and did at {reached}"


def burst(world: World, rng: random.Random) -> str:
    """All workers at once, several times."""
    times = rng.randint(2, 4)
    for _ in range(times):
        for worker in world.fleet.wanted():
            worker.kill()
        world.wait(rng.uniform(0.5, 3.0))
    return f"kill -9 all, {times} times"


def terminate(world: World, rng: random.Random) -> str:
    """An orderly stop, which must take a bounded time, and a new start."""
    worker = _one(world, rng)
    with world.fleet.turn:
        began = time.monotonic()
        in_time = worker.terminate(STOP_S_MAX)
        took_s = time.monotonic() - began
        worker.start()
    if not in_time:
        world.note(f"VIOLATION {worker.name} did not stop within {STOP_S_MAX:g} s of SIGTERM")
    return f"SIGTERM {worker.name}, stopped in {took_s:.1f} s"


def join_and_leave(world: World, rng: random.Random) -> str:
    """Another worker comes, gets partitions, and goes, in one way or the other."""
    name = f"x{rng.randint(0, 1)}"
    worker = world.fleet.workers.get(name) or world.fleet.add(name)
    worker.start()
    world.wait(rng.uniform(2.0, 9.0))
    worker.is_wanted = False
    kindly = rng.random() < 0.5
    if kindly:
        worker.terminate(STOP_S_MAX)
    else:
        worker.kill()
    return f"{name} joined and {'left' if kindly else 'was killed'}"


def freeze(world: World, rng: random.Random) -> str:
    """SIGSTOP until the group has given its partitions to others; then it writes on."""
    worker = _one(world, rng)
    seconds = rng.choice((SESSION_S / 2, SESSION_S + 1, 2 * SESSION_S + 2))
    worker.is_stopped = True
    worker.send(signal.SIGSTOP)
    world.wait(seconds)
    worker.send(signal.SIGCONT)
    worker.is_stopped = False
    return f"SIGSTOP {worker.name} for {seconds:g} s"


def jump_clock(world: World, rng: random.Random) -> str:
    """A worker's wall clock goes wrong by up to ten days."""
    worker = _one(world, rng)
    wrong_by = rng.choice((-1, 1)) * rng.choice((30, 3_600, 864_000))
    worker.clock.write_text(str(wrong_by))
    return f"the clock of {worker.name} is wrong by {wrong_by} s"


# --- disks


def lose_disk(world: World, rng: random.Random) -> str:
    """The data folder is gone when the worker comes back."""
    worker = _one(world, rng)
    with world.fleet.turn:
        worker.kill()
        shutil.rmtree(worker.folder, ignore_errors=True)
        worker.start()
    return f"the folder of {worker.name} was deleted"


def lose_disk_alive(world: World, rng: random.Random) -> str:
    """Files vanish from under a living worker."""
    worker = _one(world, rng)
    shutil.rmtree(worker.folder / "workers", ignore_errors=True)
    return f"the folder of {worker.name} was deleted while it ran"


def old_disk(world: World, rng: random.Random) -> str:
    """The data folder as it was some time ago comes back."""
    worker = _one(world, rng)
    kept = worker.folder.with_suffix(".kept")
    with world.fleet.turn:
        worker.kill()
        if worker.name in world.kept_disks:
            copy_folder(kept, worker.folder)
            world.kept_disks.discard(worker.name)
            text = f"{worker.name} got an old copy of its folder"
        else:
            copy_folder(worker.folder, kept)
            world.kept_disks.add(worker.name)
            text = f"the folder of {worker.name} was copied for later"
        worker.start()
    return text


def stale_disk(world: World, rng: random.Random) -> str:
    """A folder comes back after the log has dropped deletions that it does not know of."""
    worker = _one(world, rng)
    kept = worker.folder.with_suffix(".stale")
    with world.fleet.turn:
        worker.kill()
        copy_folder(worker.folder, kept)
        worker.start()
    world.wait(DELETE_RETENTION_MS / 1000 + rng.uniform(5, 12))
    with world.fleet.turn:
        worker.kill()
        copy_folder(kept, worker.folder)
        worker.start()
    return f"{worker.name} got a folder from before deletions were dropped"


def _cut(path: Path, rng: random.Random) -> None:
    """Half of the file, or as it was but for some bytes."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if rng.random() < 0.5:
            file.truncate(rng.randint(0, max(0, size - 1)))
        elif size:
            for _ in range(8):
                file.seek(rng.randrange(size))
                file.write(bytes([rng.randrange(256)]))


def damage_files(world: World, rng: random.Random) -> str:
    """RocksDB's files are cut short or have wrong bytes."""
    worker = _one(world, rng)
    with world.fleet.turn:
        worker.kill()
        files = [path for path in worker.folder.rglob("*") if path.is_file() and path.parent.name.isdigit()]
        chosen = rng.sample(files, min(len(files), rng.randint(1, 4)))
        for path in chosen:
            _cut(path, rng)
        worker.start()
    return f"damaged {[path.name for path in chosen]} of {worker.name}"


def fill_disk(world: World, rng: random.Random) -> str:
    """The worker's folder has no room left."""
    worker = _one(world, rng)
    mib = rng.choice((1, 4, 24))
    with world.fleet.turn:
        worker.kill()
        worker.folder.mkdir(parents=True, exist_ok=True)
        world.mount("-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", at=worker.folder)
        worker.start()
    world.wait(rng.uniform(5, 12))
    with world.fleet.turn:
        worker.kill()
        world.unmount(worker.folder)
        worker.start()
    return f"{worker.name} on a disk of {mib} MiB"


def read_only_disk(world: World, rng: random.Random) -> str:
    """The worker's folder can not be written to."""
    worker = _one(world, rng)
    with world.fleet.turn:
        worker.kill()
        worker.folder.mkdir(parents=True, exist_ok=True)
        world.mount("--bind", str(worker.folder), at=worker.folder)
        world.mount("-o", "remount,ro,bind", at=worker.folder)
        world.mounts.pop()
        worker.start()
    world.wait(rng.uniform(4, 9))
    with world.fleet.turn:
        worker.kill()
        world.unmount(worker.folder)
        worker.start()
    return f"the folder of {worker.name} was read-only"


# --- brokers


def _node(world: World, rng: random.Random) -> Broker:
    return rng.choice(world.brokers.nodes)


def _meanwhile(world: World, rng: random.Random) -> str:
    """Perhaps a worker is killed while the broker is away."""
    if rng.random() < 0.4:
        return f"; meanwhile {kill(world, rng)}"
    return ""


def _start_again(world: World, rng: random.Random, node: Broker, away_s_max: float) -> str:
    """Starts a node that was ended, some time later."""
    also = _meanwhile(world, rng)
    world.wait(rng.uniform(0, away_s_max))
    node.start()
    node.await_ready()
    return also


def restart_broker(world: World, rng: random.Random) -> str:
    """An orderly stop and a new start."""
    node = _node(world, rng)
    node.stop()
    return f"broker {node.number} stopped and started{_start_again(world, rng, node, 4)}"


def crash_broker(world: World, rng: random.Random) -> str:
    """kill -9 and a new start; with three nodes the leaders move."""
    node = _node(world, rng)
    node.kill()
    return f"broker {node.number} killed and started{_start_again(world, rng, node, 6)}"


def pause_broker(world: World, rng: random.Random) -> str:
    """The broker stands still, also for longer than a request may take."""
    node = _node(world, rng)
    seconds = rng.choice((2.0, 6.0, REQUEST_TIMEOUT_S + 4))
    node.send(signal.SIGSTOP)
    also = _meanwhile(world, rng)
    world.wait(seconds)
    node.send(signal.SIGCONT)
    node.await_ready()
    return f"broker {node.number} paused for {seconds:g} s{also}"


def cut_off(world: World, rng: random.Random) -> str:
    """The network between one worker and all brokers is cut, and comes back with what was held; the worker works on."""
    worker = _one(world, rng)
    pid, seconds = worker.pid, rng.choice((1.0, SESSION_S + 2, REQUEST_TIMEOUT_S + 4))
    for node in world.brokers.nodes:
        node.proxy.hold(pid)
    world.wait(seconds)
    for node in world.brokers.nodes:
        node.proxy.release(pid)
    return f"{worker.name} was cut off for {seconds:g} s"


def reset_connections(world: World, rng: random.Random) -> str:
    """Every connection to a broker breaks, some times in a row."""
    node, times = _node(world, rng), rng.randint(1, 4)
    for _ in range(times):
        node.proxy.reset()
        world.wait(rng.uniform(0, 0.5))
    return f"the connections to broker {node.number} broke, {times} times"


def forget_producers(world: World, rng: random.Random) -> str:
    """Nothing comes for longer than the brokers remember producers; a worker sleeps through it and wakes up."""
    worker = _one(world, rng)
    world.feed.pause()
    worker.is_stopped = True
    worker.send(signal.SIGSTOP)
    world.wait(PRODUCER_EXPIRATION_MS / 1000 + 5)
    worker.send(signal.SIGCONT)
    worker.is_stopped = False
    world.wait(rng.uniform(0, 2))
    world.feed.resume()
    return f"idle for {PRODUCER_EXPIRATION_MS / 1000 + 5:g} s, {worker.name} asleep"


# --- definitions


def redefine(world: World, rng: random.Random) -> str:
    """Definitions come, change and go while events arrive, several times in a row."""
    times = rng.randint(1, 4)
    for _ in range(times):
        world.redefine(rng)
        world.wait(rng.uniform(0.2, 3.0))
    return f"defined anew, {times} times"


def crash_while_counting_the_past(world: World, rng: random.Random) -> str:
    """A worker ends behind one of the commits in which it goes over to other definitions."""
    worker, passes = _one(world, rng), rng.choice((1, 1, 2, 5, 20))
    with world.fleet.turn:
        worker.kill()
        worker.start(MILEPOST_CRASH_AT=f"chore:{passes}")
        world.redefine(rng)
        reached = world.wait_until(lambda: not worker.lives(), 12)
        worker.kill()
        worker.start()
    return f"{worker.name} was to end at chore {passes} and did{'' if reached else ' not'}"


# --- the receiver of deliveries


def fail_receiver(world: World, rng: random.Random) -> str:
    """It answers, and not as it should."""
    text, world.receiver.answer = failing(rng)
    world.wait(rng.uniform(2.0, 8.0))
    world.receiver.answer = accept
    return f"the receiver {text}"


def stop_receiver(world: World, rng: random.Random) -> str:
    """Nobody listens, and perhaps a worker is killed meanwhile."""
    world.receiver.answer = unreachable
    world.receiver.stop()
    also = _meanwhile(world, rng)
    world.wait(rng.uniform(2.0, 8.0))
    world.receiver.start()
    world.receiver.answer = accept
    return f"the receiver was down{also}"


def reroute(world: World, rng: random.Random) -> str:
    """Deliveries are paused, and go on under another configuration."""
    world.order(Pause(DESTINATION))
    world.wait(rng.uniform(0.5, 4.0))
    at_once = rng.randint(1, 16)
    world.order(configure_of(routed_to(world.receiver.url, at_once)), Resume(DESTINATION))
    return f"deliveries were paused, and go on with {at_once} at once"


FAULTS = (
    Fault("redefine", redefine, cheap=True),
    Fault("crash-while-counting-the-past", crash_while_counting_the_past, cheap=True),
    Fault("kill", kill, cheap=True),
    Fault("kill-while-taking-over", kill_while_taking_over, cheap=True),
    Fault("crash-at", crash_at, cheap=True),
    Fault("burst", burst, cheap=True),
    Fault("terminate", terminate, cheap=True),
    Fault("join-and-leave", join_and_leave, cheap=True),
    Fault("freeze", freeze, cheap=True),
    Fault("jump-clock", jump_clock, cheap=True),
    Fault("lose-disk", lose_disk, cheap=True),
    Fault("lose-disk-alive", lose_disk_alive, cheap=True),
    Fault("old-disk", old_disk, cheap=True),
    Fault("stale-disk", stale_disk, needs_compaction=True),
    Fault("damage-files", damage_files, cheap=True),
    Fault("fill-disk", fill_disk),
    Fault("read-only-disk", read_only_disk),
    Fault("cut-off", cut_off),
    Fault("reset-connections", reset_connections, cheap=True),
    Fault("restart-broker", restart_broker),
    Fault("crash-broker", crash_broker),
    Fault("pause-broker", pause_broker),
    Fault("forget-producers", forget_producers),
    Fault("fail-receiver", fail_receiver, cheap=True),
    Fault("stop-receiver", stop_receiver, cheap=True),
    Fault("reroute", reroute, cheap=True),
)
FAULT_BY_NAME = {fault.name: fault for fault in FAULTS}
