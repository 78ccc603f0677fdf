"""The containers in which analyses order and count, and which of them lie under which."""

from enum import StrEnum


class ContainerKind(StrEnum):
    """The entity within which an analysis orders and counts."""

    ACCOUNT = "account"
    OPPORTUNITY = "opportunity"
    BUYING_GROUP = "buying_group"
    PERSON = "person"
    SESSION = "session"


KINDS_UNDER: dict[ContainerKind, tuple[ContainerKind, ...]] = {
    ContainerKind.ACCOUNT: (
        ContainerKind.OPPORTUNITY,
        ContainerKind.BUYING_GROUP,
        ContainerKind.PERSON,
        ContainerKind.SESSION,
    ),
    ContainerKind.PERSON: (ContainerKind.SESSION,),
}
"""Each container of these kinds lies under one of that kind, a session where it has a person at all. Opportunities,
buying groups and people lie beside each other: one of them may be in several of the others."""
