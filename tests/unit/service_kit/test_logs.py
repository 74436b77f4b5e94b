"""The form of the log: a line is one JSON object, whatever somebody puts into it and whoever writes it."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FORGED = 'x\r\n{"event":"logged in","actor":"admin"}\n\x1b[2J\u2028\x00"'
PROGRAM = """
import logging, sys
import structlog
from service_kit.logs import configure_logs
configure_logs("test-service", "INFO")
log, others, given = structlog.get_logger(), logging.getLogger("a.library"), sys.argv[1]
given = given.replace("NUL", chr(0))
log.info("accepted", actor=given)
log.debug("left out")
others.warning("a library says %s", given)
others.info(given)
try:
    raise ValueError("why")
except ValueError as exc:
    log.error("request failed", exc_info=exc)
    others.exception("likewise")
"""


def test_what_is_logged_is_one_json_object_a_line_with_who_when_and_what():
    forged = FORGED.replace("\x00", "NUL")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, forged], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "", "logs go to standard error alone"
    lines = [json.loads(line) for line in done.stderr.split("\n")[:-1]]
    assert [line["level"] for line in lines] == ["info", "warning", "info", "error", "error"]
    for line in lines:
        assert line["service"] == "test-service"
        at = datetime.fromisoformat(line["timestamp"])
        assert at.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert (lines[0]["event"], lines[0]["actor"]) == ("accepted", FORGED)
    assert lines[1]["event"] == f"a library says {FORGED}"
    assert lines[2]["event"] == FORGED
    assert all(line["exception"].startswith("ValueError\n") for line in lines[3:])
    assert "\x1b" not in done.stderr and "\x00" not in done.stderr
