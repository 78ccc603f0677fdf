"""Data that lies beside the project and must not be copied into it."""

import os
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[2] / "shared" / "data"


def shared_data(*parts: str) -> Path:
    """A file of `../shared/data`. Skips the test where it is absent; in CI that is a failure."""
    path = _FOLDER.joinpath(*parts)
    if not path.exists():
        message = f"{path} is not here, so this was not tested"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(message)
        pytest.skip(message)
    return path
