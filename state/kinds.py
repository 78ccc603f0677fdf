"""The kinds of containers as they stand in the keys of rows: one byte each."""

from state.definitions import ContainerKind

CODE_BY_KIND = {
    ContainerKind.ACCOUNT: b"a",
    ContainerKind.OPPORTUNITY: b"o",
    ContainerKind.BUYING_GROUP: b"g",
    ContainerKind.PERSON: b"p",
    ContainerKind.SESSION: b"s",
}
VISITS = b"v"
"""Sessions derived from a person's web touchpoints: all of a person's are in one row, under the person's id."""
NAME_BY_CODE = {code: kind.value for kind, code in CODE_BY_KIND.items()}
