"""The form of the log: one JSON object a line on standard error, ours and the libraries' alike."""

import logging
import sys
from typing import Any

import orjson
import structlog

_QUIET = ("uvicorn.access", "aio_pika", "aiormq", "pymongo")


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def _dump_bytes(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)


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
        structlog.processors.format_exc_info,
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
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in _QUIET:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))
