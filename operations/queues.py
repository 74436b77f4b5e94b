"""The verb that replaces queues which an older version has declared; `./run up` does it by itself."""

from __future__ import annotations

import argparse
import asyncio
import re
from typing import Final

from events.errors import Unavailable
from operations.addresses import broker_settings
from operations.errors import SetupError
from operations.terminal import print_progress
from service_kit.broker.replacing import bound_queues, replace_outdated
from service_kit.broker.topology import IMAGE_TOPICS, IMAGES

_SUBSCRIBER: Final = re.compile(r"([\w-]+):([\w.*#-]+(?:,[\w.*#-]+)*)")


def add_queues(parser: argparse.ArgumentParser) -> None:
    """Options of `queues`."""
    parser.add_argument(
        "--subscriber",
        metavar="NAME:TOPIC,TOPIC",
        type=_subscriber,
        action="append",
        default=[],
        help="a subscriber of yours and the topics that it wants, e.g. notify:person.*",
    )


def queues(options: argparse.Namespace) -> int:
    """Replace what is of an older version; all APIs, workers and subscribers must be stopped."""
    settings = broker_settings()
    declarations = bound_queues(settings.partitions, {IMAGES: IMAGE_TOPICS, **dict(options.subscriber)})
    try:
        lines = asyncio.run(replace_outdated(settings.amqp_url.get_secret_value(), declarations))
    except Unavailable as exc:
        raise SetupError(f"{exc.detail}. What was begun goes on when this is run again.") from exc
    print_progress("\n".join(lines) or "Every queue is as it should be.")
    return 0


def _subscriber(text: str) -> tuple[str, list[str]]:
    match = _SUBSCRIBER.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("name it as NAME:TOPIC,TOPIC")
    return match[1], match[2].split(",")
