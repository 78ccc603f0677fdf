"""What an alert says: who, what, when, and what led to it; from the rows of a commit and those below them."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from state.analyses.milestones.lens import MilestoneLens
from state.definitions import ContainerKind
from state.kinds import CODE_BY_KIND, NAME_BY_CODE
from state.layers import Layers
from state.rows import container_key, decode_container, parts_of, touchpoints_prefix
from streams.alert import FORMAT, Alert, Involved, LedBy, encode_alert
from streams.store import Row, Rows
from streams.touchpoint import Touchpoint, decode_touchpoint

_ACCOUNT = CODE_BY_KIND[ContainerKind.ACCOUNT]


class Claim(msgspec.Struct, array_like=True, frozen=True):
    """That something happened, or will have. refs: the touchpoints that led to it, in order, by the ends of their rows'
    keys. path: what was reached before."""

    happened_ms: int
    refs: tuple[str, ...]
    path: tuple[str, ...]


def alert_id(milestone: str, account: str, kind: str, id_: str, episode: str) -> str:
    """32 hex digits, the same for ever."""
    parts = "\0".join((milestone, account, kind, id_, episode))
    return blake2b(parts.encode(), digest_size=16).hexdigest()


class _Saying(NamedTuple):
    """What is to be said. layout: the one in which the account's row is behind the commit. at: the container's place,
    a zero byte, the episode."""

    lens: MilestoneLens
    layout: int
    at: bytes
    claim: Claim
    revision: int
    is_asserted: bool

    @property
    def account(self) -> bytes:
        return parts_of(self.at)[0]

    @property
    def account_key(self) -> bytes:
        """Of the row that knows its owner."""
        return container_key(self.layout, self.account, _ACCOUNT, b"")

    @property
    def touchpoint_keys(self) -> list[bytes]:
        """Of the touchpoints that led to it."""
        prefix = touchpoints_prefix(self.account)
        return [prefix + ref.encode() for ref in self.claim.refs]


class Alerting:
    """The alerts of one commit. What they say is read once, for all of them."""

    def __init__(self, layers: Layers, rows: list[Row], store: Rows, clock_ms: int) -> None:
        self._layers = layers
        self._rows = rows
        self._store = store
        self._clock_ms = clock_ms
        self._sayings: list[_Saying] = []

    def say(
        self, lens: MilestoneLens, layout: int, at: bytes, claim: Claim, revision: int, *, is_asserted: bool
    ) -> None:
        """Adds one."""
        self._sayings.append(_Saying(lens, layout, at, claim, revision, is_asserted))

    def records(self) -> list[Row]:
        """The records of the topic: what happened first is first."""
        if not self._sayings:
            return []  # claims that change nothing that was told need no look at the rows
        keys = [key for each in self._sayings for key in (each.account_key, *each.touchpoint_keys)]
        rows = self._behind(keys)
        said = [self._alert(each, rows) for each in self._sayings]
        said.sort(key=lambda each: (each.happened_ms, each.id))
        return [(each.id.encode(), encode_alert(each)) for each in said]

    def _behind(self, keys: list[bytes]) -> dict[bytes, bytes | None]:
        """Rows as they are behind the commit."""
        found = dict(zip(keys, self._store.get(keys), strict=True))
        found.update((key, value) for key, value in self._rows if key in found)
        return found

    def _alert(self, saying: _Saying, rows: Mapping[bytes, bytes | None]) -> Alert:
        account, code, rest = parts_of(saying.at)
        id_, _, episode = rest.decode().partition("\0")
        claim, made = saying.claim, saying.lens.definition
        milestone, kind = made.milestone, NAME_BY_CODE[code]
        led_by = _led_by([rows[key] for key in saying.touchpoint_keys])
        return Alert(
            format=FORMAT,
            id=alert_id(made.name, account.decode(), kind, id_, episode),
            revision=saying.revision,
            state="asserted" if saying.is_asserted else "revoked",
            milestone=made.name,
            version=made.version,
            title=milestone.title or made.name,
            tier=milestone.tier,
            who=Involved(
                account=account.decode(),
                kind=kind,
                id=id_ or None,
                owner=self._owner(saying.layout, rows[saying.account_key], milestone.owner),
                people=list(dict.fromkeys(each.person for each in led_by if each.person is not None)),
            ),
            episode=_episode_text(episode),
            happened_ms=claim.happened_ms,
            known_ms=self._clock_ms,
            touchpoints=list(map(_shown, led_by)),
            path=list(claim.path),
            links=milestone.links_of(account.decode(), id_ or None),
        )

    def _owner(self, layout: int, row: bytes | None, attribute: str) -> str | None:
        """row: the account's."""
        place = self._layers.plan_with(layout).owner_places[attribute]
        owner: str | None = None if row is None else decode_container(row).states[place][0]
        return owner


def _led_by(rows: Iterable[bytes | None]) -> list[Touchpoint]:
    """The touchpoints of rows, but for those that were taken back."""
    decoded = (decode_touchpoint(row) for row in rows if row is not None)
    return [each for each in decoded if not each.withdrawn]


def _episode_text(episode: str) -> str | None:
    """The touchpoint that began it as `source/event_id`."""
    event_id, _, source = episode.partition("\0")
    return f"{source}/{event_id}" if episode else None


def _shown(touchpoint: Touchpoint) -> LedBy:
    return LedBy(
        event_time=touchpoint.event_time,
        type=touchpoint.type,
        source=touchpoint.source,
        event_id=touchpoint.event_id,
        person=touchpoint.person,
        channel=touchpoint.channel,
        content=touchpoint.content,
        campaign=touchpoint.campaign,
        value=touchpoint.value,
    )
