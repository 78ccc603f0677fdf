"""What crosses a topic: the topic table, formats, sources, the batch transport, the embedded broker, admin."""

from zoneinfo import reset_tzpath

# The pinned tzdata package counts and not the machine's, so that all workers have the same midnights. Here, because
# everything that reads a time zone imports from this package first.
reset_tzpath(())
