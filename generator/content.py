"""What there is to see and by which ways people come: pages, channels and campaigns, as ready pieces of JSON.

A visit is put together from these pieces, because encoding an object per event would cost more than all the rest.
"""

from enum import IntEnum

from generator.company import chances


class Interest(IntEnum):
    """What an account looks for, which decides what its people read."""

    AWARENESS = 0
    EVALUATION = 1
    CUSTOMER = 2


# Number of pages of each content type, and its weight by interest.
_PAGES = {
    "blog": (40, (34, 3, 12)), "product": (4, (22, 16, 14)), "video": (8, (9, 6, 8)), "docs": (30, (7, 10, 50)),
    "case-study": (12, (7, 18, 2)), "whitepaper": (6, (7, 7, 2)), "pricing": (1, (4, 22, 6)),
    "comparison": (5, (4, 14, 1)), "webinar": (6, (3, 2, 3)), "event": (3, (2, 1, 1)), "form": (2, (1, 3, 1)),
}  # fmt: skip
# What happens on a page but for viewing it, and how often.
_DEED = {"whitepaper": ("Content Downloaded", 0.4), "video": ("Video Watched", 0.6)}

# Weight and campaigns of a channel; one that is paid for begins with the click on an advertisement.
_CHANNELS = {
    "organic-search": (30, ()), "direct": (24, ()), "paid-search": (13, ("search-brand", "search-category")),
    "email": (10, ("newsletter", "nurture-evaluation")), "referral": (9, ()),
    "paid-social": (8, ("social-retargeting", "social-leaders")), "partner": (6, ("partner-referrals",)),
}  # fmt: skip
MAILINGS = ("newsletter", "nurture-awareness", "nurture-evaluation", "product-update", "event-invitation")


def _page(kind: str, number: int, deed: str) -> str:
    return f'"source":"website","type":"{deed}","content":"/{kind}/{number}","content_type":"{kind}"'


def _pages(interest: Interest) -> tuple[str, ...]:
    weighted = []
    for kind, (count, weights) in _PAGES.items():
        deed, often = _DEED.get(kind, ("Page Viewed", 0.0))
        # The first pages are the popular ones.
        popularity = [1 / (place + 2) for place in range(count)]
        for number, share in enumerate(popularity):
            weight = weights[interest] * share / sum(popularity)
            weighted.append((weight * (1 - often), _page(kind, number, "Page Viewed")))
            if often:
                weighted.append((weight * often, _page(kind, number, deed)))
    return chances(*weighted)


PAGES = tuple(_pages(interest) for interest in Interest)
"""By interest: 1,024 pieces, each source, type, content and content type of an event on the web site."""

WAYS: tuple[tuple[str, bool], ...] = chances(
    *(
        (weight / max(1, len(campaigns)), (_way, channel.startswith("paid")))
        for channel, (weight, campaigns) in _CHANNELS.items()
        for _way in (
            [f'"channel":"{channel}","campaign":"{campaign}"' for campaign in campaigns] or [f'"channel":"{channel}"']
        )
    )
)
"""1,024 ways to the web site: the piece with channel and campaign, and whether it was paid for."""

VISIT_LENGTHS = chances(*((0.78**length, length) for length in range(1, 22)))
"""Events of a visit, 1 to 21, about 4.4 on average: most people leave early."""
