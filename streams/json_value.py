"""JSON that users send, within the bounds that YAML files have."""

from typing import Any

import msgspec

from streams.errors import UsageError
from streams.shown import shown
from streams.yaml_file import DEPTH_MAX, FILE_BYTES_MAX, VALUE_COUNT_MAX

_decode = msgspec.json.Decoder().decode


def json_value(content: bytes) -> Any:
    """The plain value. Raises UsageError for what is no JSON, or too large."""
    if len(content) > FILE_BYTES_MAX:
        raise UsageError(f"there are more than {FILE_BYTES_MAX} bytes; is it the right file?")
    try:
        value = _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"this is no JSON: {shown(str(error), 300)}") from error
    _require_bounds(value)
    return value


def _require_bounds(value: Any) -> None:
    count = 0
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        count += len(level)
        if count > VALUE_COUNT_MAX:
            break
        level = [part for each in level for part in _parts(each)]
        if not level:
            return
    raise UsageError(f"there are more than {VALUE_COUNT_MAX} values or {DEPTH_MAX} levels")


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
