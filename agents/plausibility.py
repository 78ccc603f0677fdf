"""Whether what definitions ask for has ever come: told when they are applied, for a misspelt name counts nothing for
ever, in silence.

Only a look at the newest touchpoints, so it warns and refuses nothing: what has not come yet may come.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from agents.reading import read_topic
from agents.settings import Settings
from state.definitions import Analysis, Audience, Flow, Milestone
from state.definitions.milestone import Unchanged
from state.matches import TEXT_FIELDS, Match, Model, Operator
from streams.admin import end_offsets
from streams.shown import shown
from streams.topics import topic_name
from streams.touchpoint import Touchpoint, decode_touchpoint

LOOKED_AT = 20_000  # touchpoints per partition, the newest ones
VALUE_COUNT_MAX = 50_000
_LIKE_MAX = 3
_SHOWN_MAX = 80
_NAMES_OF_ONE = frozenset(("event_id",))
Seen = dict[str, set[object]]  # field or attributes.NAME → its values


def implausible(analyses: Iterable[Analysis | Milestone | Audience], bootstrap: str, settings: Settings) -> list[str]:
    """A sentence for each value or attribute that conditions name and that no touchpoint looked at has; none where
    nothing has come yet."""
    seen, count = _seen(bootstrap, settings)
    if not count:
        return []
    return [
        f"{analysis.name}: {text} among the newest {count:,} touchpoints"
        for analysis in analyses
        for text in dict.fromkeys(_never(analysis, seen))
    ]


def _never(analysis: Analysis | Milestone | Audience, seen: Seen) -> Iterator[str]:
    """What the definition names and nothing has, in words."""
    if isinstance(analysis, Flow):
        anchor = analysis.starts_with or analysis.ends_with or analysis.contains
        items = [*([anchor] if isinstance(anchor, str) else []), *(analysis.stages or [])]
        yield from _unknown(analysis.dimension, items, seen.get(analysis.dimension, set()))
    attributes = analysis.attributes.values() if isinstance(analysis, Audience) else ()
    for match in (*_matches_in(analysis), *(Match(field=field, op=Operator.EXISTS) for field in attributes)):
        known = seen.get(match.field, set())
        if match.field.startswith("attributes.") and not known:
            yield f"nothing has {match.field!r}"
        elif match.op in (Operator.EQUAL, Operator.IN) and _is_listed(match.field) and len(known) < VALUE_COUNT_MAX:
            yield from _unknown(match.field, [each for each in match.literals if isinstance(each, str)], known)


def _unknown(field: str, values: Iterable[str], known: set[object]) -> Iterator[str]:
    """The values of a field that are not among the known ones, in words."""
    for each in values:
        if each not in known:
            yield f"nothing has {field} {shown(each, _SHOWN_MAX)!r}{_like(each, known)}"


def _is_listed(field: str) -> bool:
    return (field in TEXT_FIELDS or field.startswith("attributes.")) and field not in _NAMES_OF_ONE


def _like(value: str, known: set[object]) -> str:
    names = [each for each in known if isinstance(each, str)]
    found = get_close_matches(value, names, _LIKE_MAX)
    return f" (there is {', '.join(repr(shown(each, _SHOWN_MAX)) for each in found)})" if found else ""


def _matches_in(part: object) -> Iterator[Match]:
    """Every comparison in a definition, wherever it stands; and as one what asks for a field in another way."""
    if isinstance(part, Match):
        yield part
    elif isinstance(part, Unchanged):
        yield Match(field=part.field, op=Operator.EXISTS)
        for items in (part.only, part.except_):
            if items is not None:
                yield Match(field=part.field, op=Operator.IN, value=list(items))
    elif isinstance(part, Model):
        for name in type(part).model_fields:
            yield from _matches_in(getattr(part, name))
    elif isinstance(part, list):
        for each in part:
            yield from _matches_in(each)


def _seen(bootstrap: str, settings: Settings) -> tuple[Seen, int]:
    """The values of the newest touchpoints, and how many there were."""
    topic = topic_name("touchpoints", settings.prefix, settings.generation)
    seen: Seen = {}
    count = 0
    for partition, end in end_offsets(bootstrap, topic).items():
        if not end:
            continue
        for record in read_topic(bootstrap, topic, [partition], start=max(0, end - LOOKED_AT)):
            if record.value is not None:
                _note(seen, decode_touchpoint(record.value))
                count += 1
    return seen, count


def _note(seen: Seen, touchpoint: Touchpoint) -> None:
    found = [(name, getattr(touchpoint, name)) for name in TEXT_FIELDS]
    found += [(f"attributes.{name}", value) for name, value in (touchpoint.attributes or {}).items()]
    for name, value in found:
        if value is not None:
            values = seen.setdefault(name, set())
            if len(values) < VALUE_COUNT_MAX:
                values.add(value)
