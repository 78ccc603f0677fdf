"""What an alert says: who, what, when, and what led to it; from the rows of a commit and those below them."""

from functools import cached_property
from hashlib import blake2b

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


class Alerting:
    """The alerts of one commit."""

    def __init__(self, layers: Layers, rows: list[Row], store: Rows, clock_ms: int) -> None:
        self._layers = layers
        self._rows = rows
        self._store = store
        self._clock_ms = clock_ms
        self._said: list[Alert] = []

    def say(
        self, lens: MilestoneLens, layout: int, at: bytes, claim: Claim, revision: int, *, is_asserted: bool
    ) -> None:
        """Adds one. layout: the one in which the account's row is behind the commit. at: the container's place, a zero
        byte, the episode."""
        account, code, rest = parts_of(at)
        id_, _, episode = rest.decode().partition("\0")
        made, milestone = lens.definition, lens.definition.milestone
        led_by = self._touchpoints(account, claim)
        kind = NAME_BY_CODE[code]
        self._said.append(
            Alert(
                format=FORMAT,
                id=alert_id(made.name, account.decode(), kind, id_, episode),
                revision=revision,
                state="asserted" if is_asserted else "revoked",
                milestone=made.name,
                version=made.version,
                title=milestone.title or made.name,
                tier=milestone.tier,
                who=Involved(
                    account=account.decode(),
                    kind=kind,
                    id=id_ or None,
                    owner=self._owner(layout, account, milestone.owner),
                    people=list(dict.fromkeys(each.person for each in led_by if each.person is not None)),
                ),
                episode=_episode_text(episode),
                happened_ms=claim.happened_ms,
                known_ms=self._clock_ms,
                touchpoints=list(map(_led_by, led_by)),
                path=list(claim.path),
                links=milestone.links_of(account.decode(), id_ or None),
            )
        )

    def records(self) -> list[Row]:
        """The records of the topic: what happened first is first."""
        self._said.sort(key=lambda each: (each.happened_ms, each.id))
        return [(each.id.encode(), encode_alert(each)) for each in self._said]

    @cached_property
    def _changed(self) -> dict[bytes, bytes | None]:
        return dict(self._rows)

    def _get(self, keys: list[bytes]) -> list[bytes | None]:
        """Rows as they are behind the commit."""
        below = dict(zip(keys, self._store.get(keys), strict=True))
        return [self._changed.get(key, below[key]) for key in keys]

    def _touchpoints(self, account: bytes, claim: Claim) -> list[Touchpoint]:
        """Those that led to it, but for the ones that were taken back."""
        found = self._get([touchpoints_prefix(account) + ref.encode() for ref in claim.refs])
        decoded = [decode_touchpoint(value) for value in found if value is not None]
        return [each for each in decoded if not each.withdrawn]

    def _owner(self, layout: int, account: bytes, attribute: str) -> str | None:
        (row,) = self._get([container_key(layout, account, _ACCOUNT, b"")])
        place = self._layers.plan_with(layout).owner_places[attribute]
        owner: str | None = None if row is None else decode_container(row).states[place][0]
        return owner


def _episode_text(episode: str) -> str | None:
    """The touchpoint that began it as `source/event_id`."""
    event_id, _, source = episode.partition("\0")
    return f"{source}/{event_id}" if episode else None


def _led_by(touchpoint: Touchpoint) -> LedBy:
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
