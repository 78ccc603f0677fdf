"""Bodies that a template makes, for systems with an API of their own.

In Jinja's sandbox: a template reads the message and can not call into Python; its ranges and its body are bounded.
"""

from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

RANGE_MAX = 1_000
BODY_CHARACTERS_MAX = 262_144


def _bounded_range(*numbers: int) -> range:
    found = range(*numbers)
    if len(found) > RANGE_MAX:
        raise ValueError(f"a range has {RANGE_MAX} numbers at most")
    return found


_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
_ENVIRONMENT.globals = {"range": _bounded_range}


class TemplateProblemError(ValueError):
    """A template is none, or does not fit a message; its text holds nothing of a secret."""


@lru_cache(maxsize=256)
def compiled(text: str) -> Template:
    """The template. Raises TemplateProblemError for what is none."""
    try:
        return _ENVIRONMENT.from_string(text)
    except TemplateError as error:
        raise TemplateProblemError(f"this is no Jinja template: {error}") from error


def rendered(text: str, message: dict[str, Any]) -> str:
    """The body of a message. Raises TemplateProblemError when the template asks for what the message does not have, or
    does what it may not. `| tojson` makes JSON of a value, quotes included."""
    parts: list[str] = []
    length = 0
    try:
        for part in compiled(text).generate(message):
            parts.append(part)
            length += len(part)
            if length > BODY_CHARACTERS_MAX:
                raise TemplateProblemError(f"the body has more than {BODY_CHARACTERS_MAX} characters")
    except (TemplateError, TypeError, ArithmeticError, ValueError) as error:
        if isinstance(error, TemplateProblemError):
            raise
        raise TemplateProblemError(f"the template can not be filled in: {error}") from error
    return "".join(parts)
