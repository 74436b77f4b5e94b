"""What reading a value wants to know beside it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

Context = Mapping[str, Any]
"""`today`, the latest birth date; `phone_region`, of national phone numbers."""
NOWHERE: Final[Context] = MappingProxyType({})
