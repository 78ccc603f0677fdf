"""Containers by name: accounts whose name begins with a text, and the accounts of an opportunity, group or person.

Accounts lie in order and are found at once. For the rest every account is looked at, and where no analysis keeps such
containers every touchpoint: so each search says whether it came to the end before its time was over.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from state.containers import Containers
from state.definitions import ContainerKind
from state.kinds import CODE_BY_KIND, VISITS
from state.layers import Layers
from state.plan import FIELDS_OF_IDS, ID_BY_CODE
from state.rows import TOUCHPOINTS_PREFIX
from streams.answers import Found
from streams.store import Rows
from streams.touchpoint import prefix_decoder

IsDue = Callable[[], bool]
_ROWS_PER_LOOK = 256


def accounts_named(containers: Containers, beginning: str, count: int) -> list[Found]:
    """The first `count` accounts whose name begins with a text, in order."""
    accounts = islice(containers.accounts(beginning.encode()), count)
    return [Found(ContainerKind.ACCOUNT.value, account.decode()) for account in accounts]


def accounts_of(layers: Layers, rows: Rows, kind: ContainerKind, id_: str, is_due: IsDue) -> tuple[list[Found], bool]:
    """The accounts that have a container of this id, as far as was looked; and whether that was to the end. A session
    that is derived goes by its person."""
    codes = (CODE_BY_KIND[kind], VISITS) if kind is ContainerKind.SESSION else (CODE_BY_KIND[kind],)
    has_rows = all(
        any(each.code == code and each.counts_all for each in plan.others) for plan in layers.plans for code in codes
    )
    looks = _by_row(Containers(layers, rows), codes, id_) if has_rows else _by_event(rows, codes, id_)
    accounts: set[str] = set()
    for number, account in enumerate(looks, 1):
        if account is not None:
            accounts.add(account)
        if number % _ROWS_PER_LOOK == 0 and is_due():
            return [Found(kind.value, each, id_) for each in sorted(accounts)], False
    return [Found(kind.value, each, id_) for each in sorted(accounts)], True


def _by_row(containers: Containers, codes: Sequence[bytes], id_: str) -> Iterator[str | None]:
    for account in containers.accounts(b""):
        has_it = any(containers.one(account, code, id_.encode()) is not None for code in codes)
        yield account.decode() if has_it else None


def _by_event(rows: Rows, codes: Sequence[bytes], id_: str) -> Iterator[str | None]:
    ids_of = [ID_BY_CODE[code] for code in codes]
    decode = prefix_decoder([*FIELDS_OF_IDS, "account"])
    for _, value in rows.scan(TOUCHPOINTS_PREFIX):
        touchpoint = decode(value)
        is_it = not touchpoint.withdrawn and any(id_of(touchpoint) == id_ for id_of in ids_of)
        yield touchpoint.account if is_it else None
