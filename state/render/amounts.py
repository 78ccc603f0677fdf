"""Amounts as bodies have them."""

from state.definitions import Metric
from streams.touchpoint import MILLIONTHS


def shown_amount(metric: Metric, amount: int) -> int | str:
    """A value as decimal text, all else as a number."""
    return decimal_text(amount) if metric == "value" else amount


def decimal_text(millionths: int) -> str:
    """An amount in units of its currency, without trailing zeros: "1234.5"."""
    units, rest = divmod(abs(millionths), MILLIONTHS)
    sign = "-" if millionths < 0 else ""
    return f"{sign}{units}.{rest:06}".rstrip("0").rstrip(".")
