"""Makes a picture that can be kept out of bytes that somebody uploaded. Blocking, and pure.

What is kept is encoded anew from the pixels: no metadata, no colour profile, nothing that was hidden before,
in or after the image. Its size is read from the header and judged before a pixel is decoded.
"""

import io
import struct
import warnings
from typing import Final

from PIL import Image, ImageCms, ImageFile, ImageOps

from events.errors import InvalidFields, UnsupportedMediaType
from service_kit.images.model import LONGEST_SIDE, MAX_FILE_BYTES, MAX_PIXELS, THUMBNAIL_SIDE, Picture

_FORMATS: Final = ("PNG", "JPEG", "WEBP")
_QUALITIES: Final = (85, 70, 50, 30)
"""Tried in turn until the picture is small enough."""
_BROKEN: Final = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError, TypeError),
    *(OverflowError, ZeroDivisionError, MemoryError, UserWarning),
)
"""What Pillow's decoders raise over bytes that are no whole image, warnings made errors among them."""
_BOMBS: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""Pillow's own limit, far above ours, for what it finds out before it tells the size."""
_TOO_MANY: Final = f"has more than {MAX_PIXELS:,} pixels"
_SRGB: Final = ImageCms.createProfile("sRGB")


def picture_of(content: bytes) -> Picture:
    """Return what is kept of an uploaded file.

    Upright, without metadata, in sRGB, no side longer than `LONGEST_SIDE`; JPEG, or WebP if parts of it are
    transparent. Of an animation, the first image.

    Args:
        content: At most `MAX_FILE_BYTES`.

    Raises:
        UnsupportedMediaType: It does not begin as a PNG, JPEG or WebP does, whatever it is called.
        InvalidFields: It has more than `MAX_PIXELS`, or is broken.
    """
    if not _is_known(content):
        raise UnsupportedMediaType("the file is no PNG, JPEG or WebP")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _refused(_TOO_MANY)
            return _encoded(_small(image))
    except _BOMBS as exc:
        raise _refused(_TOO_MANY) from exc
    except _BROKEN as exc:
        raise _refused("cannot be decoded: it is broken or not complete") from exc


def _is_known(content: bytes) -> bool:
    """Return whether the file begins as one of the formats: https://mimesniff.spec.whatwg.org/."""
    webp = content[:4] == b"RIFF" and content[8:14] == b"WEBPVP"
    return webp or content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


def _refused(reason: str) -> InvalidFields:
    return InvalidFields("the image is not good", [{"field": "file", "reason": reason}])


def _small(image: ImageFile.ImageFile) -> Image.Image:
    """Return a decoded picture, upright, in sRGB and not too large."""
    upright = _orientation(image)
    profile = image.info.get("icc_profile")
    # A JPEG can be decoded to a half, a quarter or an eighth of its size, in as much less time and memory.
    image.draft(None, (LONGEST_SIDE, LONGEST_SIDE))
    image.load()
    small: Image.Image = image
    if small.mode in {"P", "1"} or small.mode.startswith("I;16") or "transparency" in small.info:
        small = _plain(small)
    if max(small.size) > LONGEST_SIDE:
        small = ImageOps.contain(small, (LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    if upright is not None:
        small = small.transpose(upright)
    return _colours(small, profile)


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """Return how a picture must be turned that a camera took lying: EXIF tag 274."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        with warnings.catch_warnings(action="error"):
            return turns.get(image.getexif().get(274, 1))
    except _BROKEN:
        return None  # metadata that cannot be read is dropped like any other


def _plain(image: Image.Image) -> Image.Image:
    """Return a picture whose pixels stand for themselves: no palette, no transparent colour, 8 bits."""
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value / 256).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _colours(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture in RGB or RGBA, its colours as its profile means them."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if profile and image.mode in {"RGB", "RGBA", "CMYK"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            made = ImageCms.profileToProfile(image, source, _SRGB, outputMode=mode)
            if made is not None:
                return made
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # the colours are then taken for sRGB, as a picture without a profile is
    return image if image.mode == mode else image.convert(mode)


def _encoded(image: Image.Image) -> Picture:
    alpha = image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)
    small = image if alpha or image.mode == "RGB" else image.convert("RGB")
    # A new picture has nothing but pixels, whatever an encoder would take over from the old one.
    bare = Image.new(small.mode, small.size)
    bare.paste(small)
    thumbnail = ImageOps.fit(bare, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    for quality in _QUALITIES:
        content = _bytes_of(bare, quality)
        if len(content) <= MAX_FILE_BYTES:
            format_ = "webp" if alpha else "jpg"
            return Picture(content, _bytes_of(thumbnail, _QUALITIES[0]), format_, *bare.size)
    raise _refused("cannot be made small enough")


def _bytes_of(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    if image.mode == "RGBA":
        image.save(out, "WEBP", quality=quality, method=4)
    else:
        image.save(out, "JPEG", quality=quality, progressive=True, optimize=True)
    return out.getvalue()
