"""Secrets by their names: of the environment, or of a folder with a file each. They are read when they are needed, so
one that is changed is used from then on, and are kept nowhere."""

import os
from pathlib import Path

_BYTES_MAX = 65_536


class MissingSecretError(Exception):
    """It is not there; the message says where it was looked for, and never what another one holds."""


class Secrets:
    """Where a worker's secrets are."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, name: str) -> str:
        """The secret, without blanks around it. Raises MissingSecretError."""
        variable = f"MILEPOST_SECRET_{name.upper().replace('-', '_')}"
        found = os.environ.get(variable)
        if found is None and self._folder is not None:
            try:
                with (self._folder / name).open("rb") as file:
                    found = file.read(_BYTES_MAX).decode(errors="replace")
            except OSError as error:
                raise MissingSecretError(
                    f"there is no secret {name!r}: {variable} is not set, and its file can not be read:"
                    f" {error.strerror}"
                ) from error
        if found is None or not found.strip():
            raise MissingSecretError(f"there is no secret {name!r}: {variable} is not set, nor MILEPOST_SECRETS_FOLDER")
        return found.strip()
