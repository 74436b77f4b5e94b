"""The form of the log: one JSON object a line on standard error, ours and the libraries' alike.

What an exception says may quote a person's values: of foreign ones the log has the class and the place alone.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import structlog

from events.errors import RollcallError

_QUIET = ("uvicorn.access", "aio_pika", "aiormq", "pymongo")
_MOST_FRAMES = 30


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def _dump_bytes(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)


def class_and_place(exc: BaseException) -> str:
    """Return what an exception is and where it was raised, `KeyError at mirror.py:12 in handle` say."""
    frames = traceback.extract_tb(exc.__traceback__)
    if not frames:
        return type(exc).__name__
    last = frames[-1]
    return f"{type(exc).__name__} at {Path(last.filename).name}:{last.lineno} in {last.name}"


def described(exc: BaseException) -> str:
    """Return an exception and those that led to it, the last one first: what each is, and where it came from.

    Of ours also what they say; of all others, that may be a value.
    """
    return "\n".join(line for one in _chain(exc) for line in _lines(one))


def _chain(exc: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    left = [exc]
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            left += one.exceptions
        led_to = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if led_to is not None:
            left.append(led_to)


def _lines(exc: BaseException) -> Iterator[str]:
    kind = type(exc)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    yield f"{name}: {exc.detail}" if isinstance(exc, RollcallError) else name
    for frame in traceback.extract_tb(exc.__traceback__, limit=-_MOST_FRAMES):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"


def _describe_exception(_logger: Any, _method: str, event: structlog.typing.EventDict) -> Any:
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exception()
    exc = given[1] if isinstance(given, tuple) else given
    if isinstance(exc, BaseException):
        event["exception"] = described(exc)
    return event


def _first_line(_logger: Any, _method: str, event: structlog.typing.EventDict) -> Any:
    """Keep what asyncio says of a task to its first line: it goes on with the task's exception."""
    record = event.get("_record")
    if record is not None and record.name == "asyncio":
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _log_end(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    """Log what ends the process."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, exc, trace)
        return
    structlog.get_logger().critical("ended by an error", exc_info=exc)


def configure_logs(service: str, level: str) -> None:
    """Send every log line of this process to standard error as JSON.

    Args:
        service: Stands in each line.
        level: Least level that is written.
    """

    def name(_logger: Any, _method: str, event: structlog.typing.EventDict) -> Any:
        event["service"] = service
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dump_bytes)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _first_line],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    sys.excepthook = _log_end
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in _QUIET:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
