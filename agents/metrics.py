"""Every metric, with what to do about it. Counted per batch, not per event; `metrics_server` serves them."""

from prometheus_client import Counter, Gauge, Histogram

from streams.commit import Committed

INGESTED = Counter(
    "milepost_ingested_records_total",
    "Source records read by ingest. Stands still while the sources grow: look at the worker's log.",
    ["topic"],
)
REJECTED = Counter(
    "milepost_rejected_records_total",
    "Records that became dead letters. Rises: read the newest of `dead-letters` for the reason.",
    ["topic", "reason"],
)
APPLIED = Counter("milepost_applied_records_total", "Touchpoint records inside the state.")
COMMITS = Counter("milepost_commits_total", "Commits of the accounts stage, idle ones included.")
COMMIT_SECONDS = Histogram(
    "milepost_commit_seconds",
    "Time of one commit by step. A step that grows names what is slow: the computation, Kafka, or the disk.",
    ["step"],
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
)
RESTORED = Counter(
    "milepost_restored_rows_total",
    "Changelog rows read into the store: by an owner before it is ready, by a standby all the time. An owner's rise by"
    " more than what is new at each start: the disk does not last, or a standby would help (MILEPOST_STANDBY).",
    ["by"],
)
STANDING = Gauge(
    "milepost_standing_partitions",
    "Partitions that stand at a record on which the computation fails. Above 0: the log names it and what to do.",
    ["role"],
)
READY = Gauge(
    "milepost_ready", "1 while every assigned partition is being worked on; 0 for long: a restore or a fault.", ["role"]
)
DELIVERIES = Counter(
    "milepost_deliveries_total",
    "Tries of deliveries by what came of them: delivered, again, dead. dead rises: `milepost deliveries list --state"
    " dead` says why.",
    ["destination", "result"],
)
DELIVERY_SECONDS = Histogram(
    "milepost_delivery_seconds",
    "From when a delivery could first be sent to its answer. Grows: the destination is slow, limited or was away.",
    ["destination"],
    buckets=(0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 60, 3600),
)
WAITING_DELIVERIES = Gauge(
    "milepost_waiting_deliveries",
    "Deliveries that wait. Rises and stays: the destination is paused, disabled, or down; `milepost deliveries list`.",
    ["destination", "partition"],
)


def note_commit(committed: Committed) -> None:
    """Counts one commit."""
    COMMITS.inc()
    APPLIED.inc(committed.record_count)
    for step in ("compute", "append", "store", "publish"):
        COMMIT_SECONDS.labels(step).observe(getattr(committed, f"{step}_s"))
