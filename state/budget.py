"""What the accounts stage may do for a thousand touchpoints, and readers of partials for a thousand cells.

Held as those of ingest are (`streams.budget`). in-order-N: a backlog in order of time, batches of 1,000, with N
definitions; live: three, batches of 100 in which hardly an account has two; milestones-quiet: three, and 20 milestones
of what never comes; milestones: three, and the five milestones of `examples/definitions/advanced.yaml`, one of which
reads every web event; audiences-quiet, audiences: the same of audiences, of which two of three read every web event.
late: 5 % late, in batches of 100 as live traffic has them. big-account: the same of a single account, which has a
timeline. Each with its changelog batch and its outputs, built and not sent. partials: per record that is summed.
render: per cell of the totals.
"""

from streams.budget import Cost

BUDGETS = {
    "in-order-1": Cost(
        calls=13_998, instructions=246_462, asks=6, keys=1_144, rows_read=85, bytes_read=15_544,
        rows_written=1_144, bytes_written=227_074, rows_published=142, bytes_published=26_808,
    ),
    "in-order-3": Cost(
        calls=22_091, instructions=448_187, asks=6, keys=1_172, rows_read=88, bytes_read=41_512,
        rows_written=1_214, bytes_written=300_760, rows_published=160, bytes_published=29_473,
    ),
    "in-order-12": Cost(
        calls=54_813, instructions=1_182_003, asks=6, keys=1_594, rows_read=158, bytes_read=83_188,
        rows_written=1_654, bytes_written=472_130, rows_published=280, bytes_published=34_616,
    ),
    "live": Cost(
        calls=49_770, instructions=868_613, asks=60, keys=2_079, rows_read=1_050, bytes_read=441_256,
        rows_written=2_050, bytes_written=704_397, rows_published=1_049, bytes_published=279_297,
    ),
    "milestones-quiet": Cost(
        calls=23_644, instructions=495_314, asks=6, keys=1_172, rows_read=88, bytes_read=43_138,
        rows_written=1_214, bytes_written=304_074, rows_published=160, bytes_published=29_625,
    ),
    "milestones": Cost(
        calls=52_814, instructions=1_037_722, asks=9, keys=1_280, rows_read=112, bytes_read=105_558,
        rows_written=1_238, bytes_written=402_438, rows_published=182, bytes_published=46_426,
    ),
    "audiences-quiet": Cost(
        calls=22_092, instructions=459_858, asks=6, keys=1_172, rows_read=88, bytes_read=42_323,
        rows_written=1_214, bytes_written=302_306, rows_published=160, bytes_published=29_625,
    ),
    "audiences": Cost(
        calls=120_161, instructions=2_017_640, asks=8, keys=1_250, rows_read=100, bytes_read=67_960,
        rows_written=1_228, bytes_written=357_304, rows_published=185, bytes_published=38_699,
    ),
    "late": Cost(
        calls=35_506, instructions=689_041, asks=84, keys=1_360, rows_read=296, bytes_read=155_704,
        rows_written=1_374, bytes_written=403_562, rows_published=301, bytes_published=74_480,
    ),
    "big-account": Cost(
        calls=35_272, instructions=767_798, asks=198, keys=1_188, rows_read=167, bytes_read=136_078,
        rows_written=1_179, bytes_written=350_347, rows_published=20, bytes_published=3_814,
    ),
    "partials": Cost(calls=17_873, instructions=197_382),
    "render": Cost(calls=48_337, instructions=795_663),
}  # fmt: skip
