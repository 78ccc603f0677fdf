"""What the accounts stage may do for a thousand touchpoints, and readers of partials for a thousand cells.

Held as those of ingest are (`streams.budget`). in-order-N: a backlog in order of time, batches of 1,000, with N
definitions; milestones-quiet: three, and 20 milestones of what never comes; milestones: three, and the five milestones
of `examples/definitions/advanced.yaml`, one of which reads every web event; audiences-quiet, audiences: the same of
audiences, of which two of three read every web event. late: 5 % late, in batches of 100 as live traffic has them.
big-account: the same of a single account, which has a timeline. Each with its changelog batch and its outputs, built
and not sent. partials: per record that is summed. render: per cell of the totals.
"""

from streams.budget import Cost

BUDGETS = {
    "in-order-1": Cost(
        calls=15_430, instructions=251_695, asks=6, keys=1_144, rows_read=85, bytes_read=15_542,
        rows_written=1_144, bytes_written=227_072, rows_published=142, bytes_published=26_808,
    ),
    "in-order-3": Cost(
        calls=25_007, instructions=472_068, asks=6, keys=1_172, rows_read=88, bytes_read=60_942,
        rows_written=1_188, bytes_written=317_458, rows_published=160, bytes_published=29_473,
    ),
    "in-order-12": Cost(
        calls=64_974, instructions=1_296_940, asks=6, keys=1_594, rows_read=158, bytes_read=110_873,
        rows_written=1_612, bytes_written=494_203, rows_published=280, bytes_published=34_616,
    ),
    "milestones-quiet": Cost(
        calls=27_564, instructions=543_171, asks=6, keys=1_172, rows_read=88, bytes_read=63_395,
        rows_written=1_188, bytes_written=321_523, rows_published=160, bytes_published=29_625,
    ),
    "milestones": Cost(
        calls=54_442, instructions=1_049_541, asks=51, keys=1_280, rows_read=112, bytes_read=142_163,
        rows_written=1_212, bytes_written=422_678, rows_published=182, bytes_published=46_426,
    ),
    "audiences-quiet": Cost(
        calls=25_015, instructions=484_800, asks=6, keys=1_172, rows_read=88, bytes_read=62_168,
        rows_written=1_188, bytes_written=319_394, rows_published=160, bytes_published=29_625,
    ),
    "audiences": Cost(
        calls=124_952, instructions=1_995_112, asks=8, keys=1_250, rows_read=100, bytes_read=93_879,
        rows_written=1_202, bytes_written=376_058, rows_published=185, bytes_published=37_499,
    ),
    "late": Cost(
        calls=42_116, instructions=779_938, asks=68, keys=1_344, rows_read=283, bytes_read=219_562,
        rows_written=1_344, bytes_written=468_036, rows_published=301, bytes_published=74_480,
    ),
    "big-account": Cost(
        calls=38_988, instructions=796_847, asks=192, keys=1_182, rows_read=160, bytes_read=174_234,
        rows_written=1_144, bytes_written=365_593, rows_published=20, bytes_published=3_814,
    ),
    "partials": Cost(calls=17_873, instructions=197_382),
    "render": Cost(calls=48_337, instructions=795_663),
}  # fmt: skip
