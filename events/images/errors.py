"""Errors of images, a part of the tree in `events.errors`.

RollcallError
├── InvalidRequest
│   ├── TicketUsed              a ticket for an upload that was used
│   └── OtherImage              If-Match named another image
├── ImagesOff               images are kept nowhere here
├── ImageDamaged            the bytes that are stored are not those that were sealed
└── Unavailable
    └── ImagesUnavailable       the store of images is away, slow, or tells what cannot be true
"""

from events.errors import InvalidRequest, RollcallError, Unavailable


class TicketUsed(InvalidRequest):
    """An upload ticket is good for one picture, and another one came before."""

    code = "ticket-used"


class OtherImage(InvalidRequest):
    """The image is not the one that the client expected."""

    code = "other-image"


class ImagesOff(RollcallError):
    """No store of images is set up."""

    code = "images-off"


class ImageDamaged(RollcallError):
    """What is stored of an image is not what was sealed; never said of one that was erased."""

    code = "image-damaged"


class ImagesUnavailable(Unavailable):
    """The store of images is away, too slow, or answers what cannot be true."""

    code = "images-unavailable"
