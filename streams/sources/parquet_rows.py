"""Rows of a Parquet file, read by DuckDB in batches, as paths see them: text, numbers, booleans, objects and lists.

What has a type there and none in JSON becomes text: a timestamp `2026-03-01 09:30:00`, with `+00` behind it where the
file says that it is a moment in UTC; a date `2026-03-01`; a time of day, an interval, a UUID, an enumeration. Decimals
stay exact, a float of 32 bits is the decimal that it shows, and what is not a number is absent. A map is an object.
Bytes are UTF-8; what is none goes through, and is a fault where an event would have it.
"""

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from streams.errors import UnavailableError, UsageError
from streams.shown import shown
from streams.sources.row import Row

MEMORY_MAX = "512MB"
"""For what DuckDB holds: a few pages of each column, whatever the size of the file."""
_ROWS_PER_FETCH = 2_048
_DETAIL_CHARACTERS_MAX = 300
_GLOB_SIGN = re.compile(r"[*?\[]")
_NUMBERS = frozenset(
    ("boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "hugeint",
     "double", "decimal")
)  # fmt: skip
_CONFIG = {
    "memory_limit": MEMORY_MAX,
    "threads": 1,  # so that rows come in the file's order
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

Plain = Callable[[Any], Any]


def columns(path: Path) -> tuple[str, ...]:
    """The names of the columns.

    Raises UnavailableError when the file can not be read, UsageError when it is no Parquet.
    """
    with _opened(path) as file:
        return file.columns


def rows(path: Path) -> Generator[Row, None, None]:
    """The file's rows; errors as of `columns`, and UsageError where the file turns out to be damaged."""
    with _opened(path) as file:
        size, number = path.stat().st_size, 0
        for batch in file.batches():
            bytes_read = size * min(number + len(batch), file.row_count) // file.row_count
            for values in batch:
                number += 1
                yield Row(number, dict(zip(file.columns, values, strict=True)), bytes_read)


class _File:
    """A Parquet file: its columns, how many rows it has, and their values."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        # The path as a pattern that only it fits.
        self._named = {"path": _GLOB_SIGN.sub(lambda sign: f"[{sign[0]}]", str(path.absolute()))}
        described = self._read("*", "LIMIT 0").description
        self._types = [sql_type for _, sql_type, *_ in described]
        self.columns = tuple(name for name, *_ in described)
        counted = connection.execute("SELECT num_rows FROM parquet_file_metadata($path)", self._named).fetchall()
        self.row_count = max(1, counted[0][0])  # as the file says it, which is only used to show how far one is

    def batches(self) -> Iterator[list[Sequence[Any]]]:
        """The values of some rows at a time, in the order of the file."""
        plain_by_place = {place: plain for place, each in enumerate(self._types) if (plain := _plain(each))}
        # By way of text, so that a float of 32 bits becomes the decimal that it shows.
        casts = [
            f"CAST(CAST({_quoted(name)} AS {_type(each, 'VARCHAR')}) AS {_type(each, 'DOUBLE')})"
            for name, each in zip(self.columns, self._types, strict=True)
        ]
        found = self._read(", ".join(casts), "")
        while batch := found.fetchmany(_ROWS_PER_FETCH):
            yield [_made_plain(values, plain_by_place) for values in batch] if plain_by_place else batch

    def _read(self, what: str, limit: str) -> duckdb.DuckDBPyConnection:
        # Only the file's own columns, and none that its folder is named for.
        sql = f"SELECT {what} FROM read_parquet($path, hive_partitioning = false) {limit}"
        return self._connection.execute(sql, self._named)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise UnavailableError(f"{path} can not be read: {error.strerror or error}") from error
    with duckdb.connect(config=_CONFIG) as connection:
        connection.execute("SET TimeZone = 'UTC'")  # in which moments are written
        connection.execute("SET enable_progress_bar = false")  # it would draw on the standard output
        try:
            yield _File(connection, path)
        except duckdb.OutOfMemoryException as error:
            raise UsageError(
                f"{path}: some rows take more than {MEMORY_MAX}; write it in smaller row groups"
            ) from error
        except duckdb.Error as error:
            said = shown(str(error).partition("\n")[0], _DETAIL_CHARACTERS_MAX)
            raise UsageError(f"{path}: this is no Parquet file, or it is damaged or encrypted: {said}") from error


def _type(sql_type: Any, float_type: str) -> str:
    """The type to read a column as: the same where JSON has it, else text; a float of 32 bits as `float_type`."""
    match sql_type.id:
        case "struct":
            return (
                f"STRUCT({', '.join(f'{_quoted(name)} {_type(each, float_type)}' for name, each in sql_type.children)})"
            )
        case "list":
            return f"{_type(sql_type.children[0][1], float_type)}[]"
        case "map":
            (_, key), (_, value) = sql_type.children
            return f"MAP({_type(key, float_type)}, {_type(value, float_type)})"
        case "float":
            return float_type
        case "blob":
            return "BLOB"
        case number if number in _NUMBERS:
            return str(sql_type)
    return "VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(sql_type: Any) -> Plain | None:
    """What makes a value plain that Python has as another one; None where it is plain."""
    match sql_type.id:
        case "float" | "double":
            return lambda found: found if found == found else None  # not a number
        case "blob":
            return lambda found: None if found is None else found.decode(errors="surrogateescape")
        case "list":
            return _plain_list(_plain(sql_type.children[0][1]))
        case "struct":
            return _plain_struct({name: plain for name, each in sql_type.children if (plain := _plain(each))})
        case "map":
            return _plain_map(_plain(sql_type.children[1][1]))
    return None


def _plain_list(plain: Plain | None) -> Plain | None:
    return plain and (lambda found: None if found is None else [plain(each) for each in found])


def _plain_struct(plain_by_name: dict[str, Plain]) -> Plain | None:
    def made(found: Any) -> Any:
        return None if found is None else found | {name: plain(found[name]) for name, plain in plain_by_name.items()}

    return made if plain_by_name else None


def _plain_map(plain: Plain | None) -> Plain:
    def made(found: Any) -> Any:
        return None if found is None else {str(key): plain(value) if plain else value for key, value in found.items()}

    return made


def _made_plain(values: Sequence[Any], plain_by_place: Mapping[int, Plain]) -> Sequence[Any]:
    made = list(values)
    for place, plain in plain_by_place.items():
        made[place] = plain(made[place])
    return made
