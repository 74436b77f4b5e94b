"""What tests of keys are given: two key-encryption keys, and the time."""

from datetime import UTC, datetime

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
KEKS = {"first": bytes(range(32)), "second": bytes(range(100, 132))}
