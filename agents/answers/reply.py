"""A question and its answer as HTTP has them: the body that comes with it, and what goes back, JSON or a problem."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
import structlog

from agents.answers.request import ProblemError
from streams.answers import Problem, encode_answer
from streams.errors import LostError, MismatchError, UnavailableError, UsageError
from streams.yaml_file import FILE_BYTES_MAX

JSON, PROBLEM = "application/json", "application/problem+json"

log = structlog.get_logger(__name__)


def answer_to(answer: Callable[[], msgspec.Struct], start_response: Callable[..., Any]) -> list[bytes]:
    """Sends what `answer` gives; where it fails, the problem."""
    problem: Problem | None = None
    try:
        body = encode_answer(answer())
    except ProblemError as error:
        problem = error.problem
    except UsageError as error:
        problem = ProblemError(400, str(error)).problem
    except (LostError, UnavailableError, MismatchError) as error:
        problem = ProblemError(503, str(error)).problem
    except Exception:
        # A defect of ours, which the worker's own work does not depend on.
        log.exception("a question could not be answered")
        problem = Problem("A defect of milepost", 500, "see the worker's log")
    if problem is not None:
        body = encode_answer(problem)
    status, kind = (200, JSON) if problem is None else (problem.status, PROBLEM)
    start_response(f"{status} {HTTPStatus(status).phrase}", [("Content-Type", kind), ("Cache-Control", "no-store")])
    return [body]


def json_body(environ: dict[str, Any]) -> bytes:
    """What comes with a question, said to be JSON. Raises ProblemError."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise ProblemError(415, f"Content-Type is {kind!r}; a definition comes as {JSON}")
    text = environ.get("CONTENT_LENGTH", "")
    if not (text.isascii() and text.isdecimal()):
        raise ProblemError(411, "Content-Length is missing: how many bytes there are")
    if len(text) > 9 or int(text) > FILE_BYTES_MAX:
        raise ProblemError(413, f"there are {text[:20]} bytes; a definition has {FILE_BYTES_MAX} at most")
    body: bytes = environ["wsgi.input"].read(int(text))
    return body
