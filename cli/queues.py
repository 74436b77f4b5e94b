"""The verb that replaces queues which an older version has declared; `./run up` does it by itself."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from typing import Final

from pydantic import SecretStr, ValidationError

from events.errors import Unavailable
from local.errors import SetupError
from local.places import Places
from local.say import say
from local.status import running_amqp_url
from service_kit.replacing import bound_queues, replace_outdated
from service_kit.settings import Settings
from service_kit.topology import IMAGE_TOPICS, IMAGES

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
    url = os.environ.get("ROLLCALL_AMQP_URL") or running_amqp_url(Places.find())
    if not url:
        raise SetupError("No broker is known here: start it with `./run up`, or set ROLLCALL_AMQP_URL.")
    try:
        partitions = Settings(amqp_url=SecretStr(url)).partitions
    except ValidationError as exc:
        raise SetupError(f"A setting is wrong: {exc.errors(include_input=False)[0]['msg']}.") from None
    wanted = bound_queues(partitions, {IMAGES: IMAGE_TOPICS, **dict(options.subscriber)})
    try:
        lines = asyncio.run(replace_outdated(url, wanted))
    except Unavailable as exc:
        raise SetupError(f"{exc.detail}. What was begun goes on when this is run again.") from exc
    say("\n".join(lines) or "Every queue is as it should be.")
    return 0


def _subscriber(text: str) -> tuple[str, list[str]]:
    match = _SUBSCRIBER.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("name it as NAME:TOPIC,TOPIC")
    return match[1], match[2].split(",")
