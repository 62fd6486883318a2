"""Where the control plane's own log lines go."""

import logging
from collections.abc import Callable

import structlog
from structlog.typing import EventDict, WrappedLogger

Write = Callable[[str, bool], object]
"""Takes a finished line, and whether it is about an error."""

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    # Nothing of ours is of these levels.
    "fatal": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "disabled": logging.CRITICAL,
}
_ERRORS = frozenset({"warning", "error", "critical", "exception"})


def send_logs_to(write: Write, *, debug: bool = False) -> None:
    """Render every line as `level event key=value …` and hand it to `write`.

    structlog's configuration is the process's: call it once, where the program is put together.
    """
    render = structlog.dev.ConsoleRenderer(
        colors=False,
        pad_event_to=0,
        pad_level=False,
        # A traceback must not print local variables: a program's environment may be among them.
        exception_formatter=structlog.dev.plain_traceback,
    )

    def finish(logger: WrappedLogger, name: str, event: EventDict) -> str:
        is_error = event.get("level") in _ERRORS
        write(str(render(logger, name, event)), is_error)
        raise structlog.DropEvent

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            finish,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if debug else logging.INFO
        ),
        cache_logger_on_first_use=False,
    )


def set_log_level(level: str) -> None:
    """Drop lines below a level from now on. Levels have OSM's names."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]))
