"""The secret of the images: it makes ids that nobody can guess, and signs upload tickets."""

import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

import jwt

from events.errors import InvalidFields
from service_kit.settings import Settings

TICKET_SECONDS: Final = 600
_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "rollcall:image-upload"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to upload one picture for one person.

    Attributes:
        image_id: The id that the picture will have.
        person_id: Whose it will be.
        command_id: The command that the confirmation will be.
        subject: Who asked for it, and may confirm.
        expires_at: Until when, UTC, whole seconds.
    """

    image_id: str
    person_id: str
    command_id: str
    subject: str
    expires_at: datetime


class ImageSecret:
    """Makes ids and tickets.

    Args:
        material: At least `MIN_SECRET_BYTES`, known to the command API alone.
    """

    def __init__(self, material: bytes) -> None:
        # Two keys that tell nothing of each other or of what they were made from, a token's key say.
        self._naming = hmac.digest(material, b"rollcall image ids", "sha256")
        self._signing = hmac.digest(material, b"rollcall upload tickets", "sha256")

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return the secret that the settings have: of its own, else the tokens' or Cloudinary's.

        Raises:
            SystemExit: The file of its own cannot be read, or holds too little.
        """
        secret = settings.secret_in(settings.images_key_file, "image key")
        if secret is None and settings.cloudinary_url is not None:
            secret = settings.cloudinary_url.get_secret_value().encode()
        return None if secret is None else cls(secret)

    def image_id(self, *parts: str) -> str:
        """Return the id of an image: the same parts, the same id, and no way to guess it from them.

        Whoever knows the id may see the picture, so it must not follow from a command's id, which may be
        derived from an `Idempotency-Key`. A UUID of version 8 (RFC 9562, section 5.8).
        """
        bits = int.from_bytes(hmac.digest(self._naming, "\x1f".join(parts).encode(), hashlib.sha256)[:16])
        bits = bits & ~(0xF << 76) | 0x8 << 76
        return str(uuid.UUID(int=bits & ~(0x3 << 62) | 0x2 << 62))

    def ticket(self, person_id: str, command_id: str, subject: str, expires_at: datetime) -> Ticket:
        """Return leave to upload one picture: the same command, the same id of the image."""
        return Ticket(self.image_id("ticket", command_id), person_id, command_id, subject, expires_at)

    def sign(self, ticket: Ticket) -> str:
        """Return a ticket in the form that clients carry, in an address too: without the image's id."""
        claims = {
            "aud": _AUDIENCE,
            "sub": ticket.subject,
            "exp": int(ticket.expires_at.timestamp()),
            "person": ticket.person_id,
            "command": ticket.command_id,
        }
        return jwt.encode(claims, self._signing, algorithm=_ALGORITHM)

    def read(self, text: str) -> Ticket:
        """Return the ticket that a client carries.

        Raises:
            InvalidFields: It is none of ours, or is too old.
        """
        try:
            claims = jwt.decode(text, self._signing, algorithms=[_ALGORITHM], audience=_AUDIENCE)
        except jwt.ExpiredSignatureError:
            raise _refused("has expired: ask for another one") from None
        except jwt.PyJWTError:
            raise _refused("is no upload ticket of this API") from None
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        return self.ticket(claims["person"], claims["command"], claims["sub"], expires_at)


def _refused(reason: str) -> InvalidFields:
    return InvalidFields("the upload ticket is not good", [{"field": "ticket", "reason": reason}])
