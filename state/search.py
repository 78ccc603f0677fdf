"""Containers by name: accounts whose name begins with a text, and the accounts of an opportunity, group or person.

Accounts lie in order and are found at once. For the rest every account is looked at, and where no analysis keeps such
containers every touchpoint: so each search says whether it came to the end before its time was over.
"""

from collections.abc import Callable, Iterator

from state.definitions import ContainerKind
from state.plan import CODE_BY_KIND, Plan
from state.rows import CONTAINERS_PREFIX, TOUCHPOINTS_PREFIX, container_key, parts_of, place_of
from streams.answers import Found
from streams.store import Rows
from streams.touchpoint import prefix_decoder

IsDue = Callable[[], bool]
_ROWS_PER_LOOK = 256


def accounts_named(rows: Rows, beginning: str, count: int) -> list[Found]:
    """The first `count` accounts whose name begins with a text, in order."""
    found: list[Found] = []
    for account in _accounts(rows, beginning.encode()):
        if len(found) == count:
            break
        found.append(Found(ContainerKind.ACCOUNT.value, account.decode()))
    return found


def accounts_of(plan: Plan, rows: Rows, kind: ContainerKind, id_: str, is_due: IsDue) -> tuple[list[Found], bool]:
    """The accounts that have a container of this id, as far as was looked; and whether that was to the end."""
    known = next((each for each in plan.others if each.code == CODE_BY_KIND[kind]), None)
    looks = _by_row(rows, known.code, id_) if known is not None and known.counts_all else _by_event(rows, kind, id_)
    accounts: set[str] = set()
    for number, account in enumerate(looks, 1):
        if account is not None:
            accounts.add(account)
        if number % _ROWS_PER_LOOK == 0 and is_due():
            return [Found(kind.value, each, id_) for each in sorted(accounts)], False
    return [Found(kind.value, each, id_) for each in sorted(accounts)], True


def _accounts(rows: Rows, beginning: bytes) -> Iterator[bytes]:
    prefix = CONTAINERS_PREFIX + beginning
    row = rows.after(prefix, prefix)
    while row is not None:
        account, _, _ = parts_of(place_of(row[0]))
        yield account
        # Behind everything of the account; names hold no control characters.
        row = rows.after(prefix, CONTAINERS_PREFIX + account + b"\1")


def _by_row(rows: Rows, code: bytes, id_: str) -> Iterator[str | None]:
    for account in _accounts(rows, b""):
        (value,) = rows.get([container_key(account, code, id_.encode())])
        yield None if value is None else account.decode()


def _by_event(rows: Rows, kind: ContainerKind, id_: str) -> Iterator[str | None]:
    decode = prefix_decoder([kind.value, "account"])
    for _, value in rows.scan(TOUCHPOINTS_PREFIX):
        touchpoint = decode(value)
        is_it = not touchpoint.withdrawn and getattr(touchpoint, kind.value) == id_
        yield touchpoint.account if is_it else None
