"""What a worker logs: its own lines, and of the libraries only what an operator can use."""

from typing import Any

import structlog

_NEVER = 60  # above CRITICAL


def logging_config() -> dict[str, Any]:
    """For `logging.config.dictConfig`.

    Whatever ends a worker is raised and told once by the command line; mode and Faust would tell it again for each of
    their services, with tracebacks, and asyncio for each task that was waiting. aiokafka repeats at INFO every
    subscription of every restore, and its warnings come by the thousand while a broker is away.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"default": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": ["default"]},
        "loggers": {
            "mode": {"level": _NEVER},
            "faust": {"level": _NEVER},
            "asyncio": {"level": _NEVER},
            "aiokafka": {"level": _NEVER},
            "kafka": {"level": "ERROR"},
            # Its classes are services of mode, which say under its name that they start and stop.
            "streams.transport": {"level": "WARNING"},
            "streams.consumer_thread": {"level": "WARNING"},
        },
    }


def configure_structlog() -> None:
    """Our own lines: key=value on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ]
    )
