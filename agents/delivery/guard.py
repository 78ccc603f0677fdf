"""Where a destination may lie: not in a private network, nor on this machine, unless its host is allowed by name.

The law: the address that was looked at is the one that is connected to. A name that resolves anew in between leads
nowhere else.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")


class ForbiddenAddressError(Exception):
    """The host lies where destinations may not."""


_THREADS_MAX = 4


class Guard:
    """Of one destination: names are resolved in threads of its own, so that one whose names are not answered keeps no
    other waiting."""

    def __init__(self, allowed: str) -> None:
        """allowed: the names of hosts that may be private, as destinations write them; comma-separated."""
        self._threads = ThreadPoolExecutor(_THREADS_MAX, "guard")
        self._allowed = frozenset(name.strip().lower() for name in allowed.split(",") if name.strip())

    async def address_of(self, host: str, port: int) -> str:
        """An address of the host to connect to. Raises ForbiddenAddressError when one of its addresses is private, and
        OSError when it has none."""
        resolve = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, resolve)
        addresses = [str(each[4][0]) for each in found]
        if host.lower() not in self._allowed and (private := [each for each in addresses if not is_public(each)]):
            raise ForbiddenAddressError(
                f"{host} is {private[0]}, which is no public address; to allow it, name it in"
                " MILEPOST_DELIVERY_PRIVATE_HOSTS"
            )
        return addresses[0]

    def close(self) -> None:
        """Resolves nothing more; what is under way may end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_public(text: str) -> bool:
    """Whether an address is one of the internet; those that stand for an IPv4 address are what that one is."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and (inner := _inner(address)) is not None:
        address = inner
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False  # what private networks had before fc00::/7; the library takes it for global
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
