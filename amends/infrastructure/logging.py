"""Structured logs: readable on a terminal, JSON lines elsewhere, passwords in URLs masked."""

from __future__ import annotations

import logging
import re
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from amends.infrastructure.settings import Settings

_PASSWORD: Final = re.compile(r"(://[^:/@\s]+:)[^@\s]+@")


def configure(settings: Settings) -> None:
    """Send every log record of the process to standard error, in the format that the settings ask for."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            mask_passwords,
            renderer,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def mask_passwords(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace the password of every URL in the record by asterisks."""
    return {name: _PASSWORD.sub(r"\1***@", v) if isinstance(v, str) else v for name, v in event.items()}
