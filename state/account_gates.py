"""Whether accounts have what the filters of analyses ask for of them, as their rows say it."""

from state.analyses.segment import AccountGateLens
from state.containers import Containers
from state.definitions import ContainerKind
from state.plan import CODE_BY_KIND


class AccountGates:
    """Remembers the last account, for containers are read account by account."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._last: tuple[bytes, frozenset[str]] | None = None

    def is_open(self, account: bytes, version: str) -> bool:
        """Whether the account lets the containers under it count in an analysis."""
        if self._last is None or self._last[0] != account:
            self._last = account, self._open_versions(account)
        return version in self._last[1]

    def _open_versions(self, account: bytes) -> frozenset[str]:
        found = self._containers.one(account, CODE_BY_KIND[ContainerKind.ACCOUNT], b"")
        assert found is not None, "whatever lies under an account has made it"
        return frozenset(
            lens.version
            for lens, state in zip(found.plan.lenses, found.row.states, strict=True)
            if isinstance(lens, AccountGateLens) and lens.has_property(state)
        )
