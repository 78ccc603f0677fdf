"""Good input spoiled: trees (JSON, msgpack) in their leaves and branches, text in its lines and words, bytes as such.

A tree stays a tree, so that what is spoiled lies deep inside; bytes are left to libFuzzer, which is better at them.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

TEXTS = (
    "", " ", "A", "a\x1b[31mb", "\x00", "\x7f", "\x85", "\u202e\u2066", "\ud800", "e\u0301", "\u00e9", "\U0001f680",
    "x" * 255, "x" * 300, "\u00e9" * 200, "[bold]x[/bold]", "[/]", "{0}", "%s", "../../etc/passwd", "=1+1", "!commit",
    "NaN", "-Infinity", "sNaN", "1e400", "1e999999999", "1e-999999999", "1E+99999999999999999999", "0x10", "1_0",
    "\uff11", "9" * 400, "9" * 5000, "-0", "0.0000001", "99991231T235959", "0001-01-01", "24:00", "2025-03-30T02:30",
    "null", "true", "~", "[" * 50, "*a", "<<", "!!python/object:os.system", "a.b[*].c", "(a|a)*b", "(?:a?){50}",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2, 255, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.1, -0.0, 1e15, 1e16, 1e308, 5e-324,
    7_258_118_400_000, 1_790_000_000_000, 1_000_000_000_000_000_000,
)  # fmt: skip
WORDS = (
    *(text.encode(errors="surrogatepass") for text in TEXTS),
    b"\n", b"\r", b'"', b"'", b";", b",", b":", b": ", b"- ", b"\t", b"  ", b"&a ", b"*a", b"{", b"}", b"[", b"]",
    b"<event>", b"</event>", b"<trace>", b"</trace>", b"<list key='a'>", b"</list>", b"<values>", b"</values>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"<global>", b"</global>", b"<![CDATA[", b"]]>", b"<!--", b"\xff",
)  # fmt: skip
DEEP = 300

Tree = Any
Edit = Callable[[Tree, Random], Tree]


def mutated(data: bytes, form: str, random: Random) -> bytes:
    """A spoiled copy. form: json, msgpack or text."""
    if form != "text":
        try:
            tree = json.loads(data) if form == "json" else msgspec.msgpack.decode(data)
            for _ in range(random.randint(1, 4)):
                tree = _edited(tree, random)
            return json.dumps(tree).encode() if form == "json" else msgspec.msgpack.encode(tree)
        except (ValueError, TypeError, RecursionError, OverflowError):
            pass
    for _ in range(random.randint(1, 4)):
        data = _text_edited(data, random)
    return data


def _edited(tree: Tree, random: Random) -> Tree:
    """The tree with one place changed: a leaf, or a branch on the way there."""
    if isinstance(tree, dict) and tree and random.random() < 0.85:
        key = random.choice(list(tree))
        match random.randrange(8):
            case 0:
                return {name: value for name, value in tree.items() if name != key}
            case 1:
                return {**tree, random.choice(TEXTS): _leaf(random)}
            case 2:
                return {random.choice(TEXTS) if name == key else name: value for name, value in tree.items()}
            case 3:
                return {**tree, key: tree[random.choice(list(tree))]}
        return {**tree, key: _edited(tree[key], random)}
    if isinstance(tree, list) and tree and random.random() < 0.85:
        at = random.randrange(len(tree))
        match random.randrange(7):
            case 0:
                return tree[:at] + tree[at + 1 :]
            case 1:
                return tree[:at] + [tree[at]] * random.choice((2, 3, 70)) + tree[at + 1 :]
            case 2:
                return [*tree[:at], _leaf(random), *tree[at:]]
        return [*tree[:at], _edited(tree[at], random), *tree[at + 1 :]]
    return _replaced(tree, random)


def _replaced(tree: Tree, random: Random) -> Tree:
    match random.randrange(6):
        case 0:
            return [tree]
        case 1:
            return {random.choice(TEXTS): tree}
        case 2 if random.random() < 0.2:
            for _ in range(DEEP):
                tree = [tree]
            return tree
        case 3 if isinstance(tree, str):
            return tree + random.choice(TEXTS)
        case 4 if isinstance(tree, bytes):
            return tree[: random.randint(0, len(tree))] + bytes([random.randrange(256)])
    return _leaf(random)


def _leaf(random: Random) -> Tree:
    return random.choice((None, True, False, [], {}, *random.choices(NUMBERS, k=4), *random.choices(TEXTS, k=6)))


def _text_edited(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(random.randrange(len(lines) + 1), lines[at])
        case 2:
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = b" " * random.randrange(9) + lines[at].lstrip()
        case 4:
            place = random.randint(0, len(lines[at]))
            lines[at] = lines[at][:place] + random.choice(WORDS) + lines[at][place:]
        case _:
            start = random.randint(0, len(lines[at]))
            lines[at] = lines[at][:start] + random.choice(WORDS) + lines[at][start + random.randrange(20) :]
    return b"\n".join(lines)
