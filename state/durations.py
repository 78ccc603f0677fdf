"""Durations counted in buckets, so that percentiles are exact counts: 32 buckets per power of two.

A duration is taken in whole seconds, rounded down. Up to 63 s each second is a bucket of its own; from there on a
bucket is at most 1/32 (3.2 %) of its first second wide. Buckets are numbered from 0 without gaps, in the order of
durations.
"""

from collections.abc import Mapping

_EXACT_BITS = 6  # the seconds with so many bits stand for themselves
_PER_POWER = 32


def bucket_of_duration(duration_ms: int) -> int:
    """The bucket of a duration of 0 or more milliseconds."""
    seconds = duration_ms // 1000
    shift = max(0, seconds.bit_length() - _EXACT_BITS)
    return shift * _PER_POWER + (seconds >> shift)


def last_second_of(bucket: int) -> int:
    """The greatest duration of a bucket, in whole seconds."""
    shift = max(0, bucket // _PER_POWER - 1)
    return ((bucket - shift * _PER_POWER + 1) << shift) - 1


def percentile_s(counts: Mapping[int, int], percent: int) -> int | None:
    """The least number of whole seconds within which at least `percent` of the durations lie, to the end of its bucket;
    None of nothing. counts: by bucket."""
    rank = -(-sum(counts.values()) * percent // 100)
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0:
            return last_second_of(bucket)
    return None
