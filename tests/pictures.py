"""Pictures for tests: small ones, those of a camera, and what only looks like one."""

import io
from typing import Any

from PIL import ExifTags, Image

GPS_MARK = b"SECRETPLACE"


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return a picture as a file of a form."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    """Return the picture in a file, decoded."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def halves(width: int = 120, height: int = 80) -> Image.Image:
    """Return a picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


def camera_exif(orientation: int = 1) -> Image.Exif:
    """Return metadata as a camera writes it: what it is, where it was, how it was held."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera Maker"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.ImageDescription] = GPS_MARK.decode()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef] = "N"
    gps[ExifTags.GPS.GPSLatitude] = (4.0, 35.0, 56.0)
    return exif


def photo(form: str = "JPEG", orientation: int = 1, **options: Any) -> bytes:
    """Return a picture with a camera's metadata."""
    return saved(halves(), form, exif=camera_exif(orientation), **options)


def telling(content: bytes) -> dict[int, Any]:
    """Return the metadata that a file has, GPS too."""
    exif = opened(content).getexif()
    return {**exif, **exif.get_ifd(ExifTags.IFD.GPSInfo)}
