"""The values of a mapping, compiled: each becomes a function of a row's values and its number.

The law: nothing comes of nothing. An empty or blank text and what `rows.absent` lists is None, and what is made of None
is None. A value that is there and is wrong raises ValueError, with what was found and what is right.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, assert_never

from streams.mapping.lookups import Lookups
from streams.mapping.model import (
    Const,
    Date,
    First,
    Join,
    LookUp,
    MappingFile,
    Number,
    Renamed,
    RowNumber,
)
from streams.mapping.paths import Path, Values

EXPONENT_MAX = 300

Loc = tuple[str | int, ...]
Reader = Callable[[Values, int], Any]


class Compiler:
    """Compiles the values of one mapping for a file with these columns; None where rows have no fixed columns.

    Raises UsageError, with the place in the mapping, for a column or lookup that is not there.
    """

    def __init__(self, file: MappingFile, lookups: Lookups, columns: Sequence[str] | None) -> None:
        self._file = file
        self._lookups = lookups
        self._columns = columns
        self._absent = frozenset(("", *file.mapping.rows.absent))

    def path(self, text: str, loc: Loc) -> Path:
        """A path whose columns the file has."""
        path = Path(text)
        if self._columns is not None and (missing := sorted(path.columns - set(self._columns))):
            raise self._file.error(
                loc,
                f"the file has no column {missing[0]!r}; it has {', '.join(self._columns)}."
                f" For a fixed text write {{const: {missing[0]}}}",
            )
        return path

    def value(self, value: Any, loc: Loc) -> Reader:
        """A value as it is."""
        match value:
            case str():
                return self._text(self.path(value, loc))
            case Const():
                fixed = value.const
                return lambda _values, _number: fixed
            case RowNumber():
                return lambda _values, number: number
            case Join():
                return self._join(value, loc)
            case First():
                return _first([self.value(each, (*loc, "first", i)) for i, each in enumerate(value.first)])
            case LookUp():
                return self._lookup(value, loc)
            case Renamed():
                return self._renamed(value, loc)
            case Number():
                return self._number(value, loc)
            case Date():
                return self._date(value, value.date, (*loc, "date"))
        assert_never(value)

    def time(self, value: Any, loc: Loc) -> Reader:
        """A value that is a point in time: what is no `date` yet is read by the file's `time`."""
        match value:
            case Date():
                return self.value(value, loc)
            case First():
                return _first([self.time(each, (*loc, "first", i)) for i, each in enumerate(value.first)])
        return self._date(None, value, loc)

    def _text(self, path: Path) -> Reader:
        get, absent = path.get, self._absent

        def read(values: Values, _number: int) -> Any:
            found = get(values)
            if isinstance(found, str):
                found = found.strip()
                return None if found in absent else found
            return found

        return read

    def _join(self, value: Join, loc: Loc) -> Reader:
        parts = [self.value(each, (*loc, "join", i)) for i, each in enumerate(value.join)]
        between = value.with_

        def read(values: Values, number: int) -> str | None:
            texts = []
            for part in parts:
                found = part(values, number)
                if found is None:
                    return None
                texts.append(found if isinstance(found, str) else text_of(found))
            return between.join(texts)

        return read

    def _lookup(self, value: LookUp, loc: Loc) -> Reader:
        lookup = self._lookups.get(value.lookup)
        if lookup is None:
            known = ", ".join(self._lookups) or "none"
            raise self._file.error((*loc, "lookup"), f"there is no lookup {value.lookup!r}; under lookups: {known}")
        if value.take not in lookup.columns:
            raise self._file.error(
                (*loc, "take"),
                f"the lookup {value.lookup} has no column {value.take!r}; it has {', '.join(lookup.columns)}",
            )
        key, absent = self.value(value.key, (*loc, "key")), self._absent
        taken = {name: row[value.take].strip() for name, row in lookup.row_by_key.items()}
        text_by_key = {name: text for name, text in taken.items() if text not in absent}

        def read(values: Values, number: int) -> str | None:
            found = key(values, number)
            return None if found is None else text_by_key.get(found if isinstance(found, str) else text_of(found))

        return read

    def _renamed(self, value: Renamed, loc: Loc) -> Reader:
        of, by_text, unknown = self.value(value.of, (*loc, "of")), value.map, value.unknown

        def read(values: Values, number: int) -> Any:
            found = of(values, number)
            if found is None:
                return None
            text = found if isinstance(found, str) else text_of(found)
            if text in by_text:
                return by_text[text]
            if unknown == "reject":
                raise ValueError(f"{text!r} is not listed; there are {', '.join(by_text)}")
            return found if unknown == "keep" else None

        return read

    def _number(self, value: Number, loc: Loc) -> Reader:
        of, decimal, thousands = self.value(value.number, (*loc, "number")), value.decimal, value.thousands

        def read(values: Values, number: int) -> Decimal | None:
            found = of(values, number)
            if found is None:
                return None
            text = found if isinstance(found, str) else text_of(found)
            plain = text.replace(thousands, "") if thousands else text
            try:
                return _bounded(Decimal(plain.replace(decimal, ".")))
            except InvalidOperation as error:
                raise ValueError(f"{text!r} is no number with the decimal sign {decimal!r}") from error

        return read

    def _date(self, date: Date | None, of: Any, loc: Loc) -> Reader:
        timing = self._file.mapping.time.timing(date)
        if missing := timing.missing():
            raise self._file.error(loc, missing)
        get, ms_of = self.value(of, loc), timing.reader()

        def read(values: Values, number: int) -> int | None:
            found = get(values, number)
            return None if found is None else ms_of(found)

        return read


def text_of(found: Any) -> str:
    """A single value as text: numbers in plain digits, booleans as JSON has them."""
    match found:
        case str():
            return found
        case bool():
            return "true" if found else "false"
        case int():
            return str(found)
        case float():
            return format(Decimal(repr(found)), "f").removesuffix(".0")
        case Decimal():
            return format(_bounded(found), "f")
    # Not what it holds: a path may have made a large list of a small one.
    raise ValueError(f"a {type(found).__name__} is no single value")


def _bounded(found: Decimal) -> Decimal:
    """A number that can be written out: 1e999999999 would fill the memory with zeros."""
    if not found.is_finite() or abs(found.adjusted()) > EXPONENT_MAX or len(found.as_tuple().digits) > EXPONENT_MAX:
        raise ValueError(f"{str(found)[:60]} is no number of at most {EXPONENT_MAX} digits")
    return found


def whole_of(found: Any) -> int:
    """A value as a whole number."""
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    text = text_of(found)
    if text.isascii() and text.isdigit():
        return int(text)
    raise ValueError(f"{text!r} is no whole number of 0 or more")


def attribute_of(found: Any) -> str | bool | int | float:
    """A value as an attribute has it: text, boolean or number."""
    if isinstance(found, Decimal):
        return int(found) if _bounded(found) == found.to_integral_value() else float(found)
    return found if isinstance(found, str | bool | int | float) else text_of(found)


def _first(readers: Sequence[Reader]) -> Reader:
    def read(values: Values, number: int) -> Any:
        for reader in readers:
            found = reader(values, number)
            if found is not None:
                return found
        return None

    return read
