"""What is kept of an uploaded file: its pixels, upright, and nothing else."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from command_api.images.pictures import picture_of
from events.errors import InvalidFields, UnsupportedMediaType
from service_kit.images.model import MAX_FILE_BYTES, MAX_PIXELS
from tests.pictures import GPS_MARK, camera_exif, halves, opened, photo, saved, telling

FORMS = ("PNG", "JPEG", "WEBP")


def near(pixel, colour, by=40) -> bool:
    return all(abs(a - b) <= by for a, b in zip(pixel[:3], colour, strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_metadata_is_gone_and_the_pixels_are_not(form):
    content = photo(form)
    assert telling(content) and GPS_MARK in content
    picture = picture_of(content)
    assert (picture.format, picture.width, picture.height) == ("jpg", 120, 80)
    for kept in (picture.content, picture.thumbnail):
        assert telling(kept) == {}
        assert GPS_MARK not in kept
        assert not {"exif", "icc_profile", "xmp", "comment"} & opened(kept).info.keys()
    assert near(opened(picture.content).getpixel((10, 40)), (255, 0, 0))
    assert near(opened(picture.content).getpixel((110, 40)), (0, 0, 255))


def test_what_else_a_file_can_carry_is_gone_too():
    content = saved(halves(), "JPEG", comment=b"SECRET-COMMENT", xmp=b"<x:xmpmeta>SECRET-XMP</x:xmpmeta>")
    picture = picture_of(content + b"SECRET-TRAILER <script>alert(1)</script> PK\x03\x04")
    assert b"SECRET" not in picture.content + picture.thumbnail
    assert b"script" not in picture.content


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright(orientation):
    image = halves(120, 80)
    # As a camera stores it that was held so: the inverse of what shows it upright.
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = image.transpose(Image.Transpose(back[orientation])) if orientation in back else image
    picture = picture_of(saved(stored, "JPEG", quality=95, exif=camera_exif(orientation)))
    assert (picture.width, picture.height) == (120, 80)
    assert near(opened(picture.content).getpixel((10, 40)), (255, 0, 0))
    assert near(opened(picture.content).getpixel((110, 40)), (0, 0, 255))


def test_the_thumbnail_is_the_square_middle():
    picture = picture_of(saved(halves(600, 300), "PNG"))
    thumbnail = opened(picture.thumbnail)
    assert thumbnail.size == (256, 256)
    assert near(thumbnail.getpixel((20, 128)), (255, 0, 0))
    assert near(thumbnail.getpixel((236, 128)), (0, 0, 255))


def test_a_transparent_picture_stays_so_and_one_that_only_could_be_does_not():
    image = halves().convert("RGBA")
    assert picture_of(saved(image, "PNG")).format == "jpg"
    image.putpixel((0, 0), (0, 0, 0, 0))
    picture = picture_of(saved(image, "PNG"))
    assert (picture.format, opened(picture.content).mode) == ("webp", "RGBA")
    assert opened(picture.content).getpixel((0, 0))[3] < 255


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("I;16", "PNG"),
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
    ],
)
def test_every_kind_of_pixel_is_read(mode, form):
    if mode == "I;16":
        image = Image.new(mode, (60, 40), 0x8000)
    else:
        image = Image.new("RGB", (60, 40), (128, 128, 128)).convert(mode)
    picture = picture_of(saved(image, form))
    shown = opened(picture.content).convert("RGB").resize((1, 1))
    assert near(shown.getpixel((0, 0)), (128, 128, 128), by=12)


def test_colours_are_what_their_profile_says():
    swapped = Image.merge("RGB", halves().split()[::-1])
    plain = picture_of(saved(swapped, "PNG"))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert picture_of(saved(swapped, "PNG", icc_profile=profile)).content == plain.content
    assert picture_of(saved(swapped, "PNG", icc_profile=b"no profile")).content == plain.content


def test_of_an_animation_the_first_image_is_kept():
    frames = [Image.new("RGB", (50, 50), "green")]
    for form in ("PNG", "WEBP"):
        content = saved(halves(50, 50), form, save_all=True, append_images=frames, lossless=True)
        assert near(opened(picture_of(content).content).getpixel((5, 25)), (255, 0, 0))


def test_a_large_picture_is_kept_smaller():
    picture = picture_of(saved(Image.new("L", (4000, 1000), 99), "PNG"))
    assert (picture.width, picture.height) == (2048, 512)


def test_a_picture_that_nothing_makes_small_is_kept_within_the_limit():
    noise = Image.effect_noise((1024, 1024), 120).resize((2000, 2000), Image.Resampling.NEAREST)
    content = saved(noise, "JPEG", quality=40)
    assert len(content) < MAX_FILE_BYTES
    assert len(picture_of(content).content) <= MAX_FILE_BYTES


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that says how large it is, and has next to nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", ihdr)
        + chunk(b"IDAT", zlib.compress(b"\0" * 9))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "size", [(5001, 5000), (10_000, 10_000), (65_000, 65_000), (2**31 - 1, 1), (25_000_001, 1)]
)
def test_a_bomb_is_refused_by_its_header(size, monkeypatch):
    def decoded(_self):
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", decoded)
    with pytest.raises(InvalidFields) as refusal:
        picture_of(png_header(*size))
    assert refusal.value.errors[0]["reason"] == f"has more than {MAX_PIXELS:,} pixels"


def test_the_most_that_is_allowed_is_taken():
    assert picture_of(saved(Image.new("L", (5000, 5000)), "JPEG")).width == 2048


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_file_that_ends_early_is_broken(form, part):
    content = saved(Image.effect_noise((90, 90), 80), form)
    with pytest.raises(InvalidFields, match="not good"):
        picture_of(content[: int(len(content) * part)])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a" + b"\0" * 50,
        b"%PDF-1.7 ",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html><img src=x></html>",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"BM" + b"\0" * 60,
        b"\0\0\0\x1cftypheic",
        b"MZ\x90\0",
    ],
)
def test_what_is_no_picture_of_ours_is_told_so(content):
    with pytest.raises(UnsupportedMediaType):
        picture_of(content)


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_a_picture_of_another_form_is_told_so_and_is_not_decoded(form):
    with pytest.raises(UnsupportedMediaType):
        picture_of(saved(halves().convert("P"), form) if form == "GIF" else saved(halves(), form))


def test_a_beginning_that_lies_about_what_follows_is_broken():
    gif = saved(halves().convert("P"), "GIF")
    for start in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x10\0\0\0WEBPVP8 "):
        with pytest.raises(InvalidFields):
            picture_of(start + gif)


@given(st.sampled_from(FORMS), st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_damaged_files_are_refused_or_read_and_raise_nothing_else(form, at, damage):
    content = bytearray(DAMAGED[form])
    at %= len(content)
    content[at : at + len(damage)] = damage
    try:
        picture = picture_of(bytes(content))
    except (InvalidFields, UnsupportedMediaType):
        return
    assert opened(picture.content).size == (picture.width, picture.height)


DAMAGED = {form: saved(halves(40, 30), form, exif=camera_exif(6)) for form in FORMS}


def test_a_picture_of_one_pixel_has_a_thumbnail():
    picture = picture_of(saved(Image.new("RGB", (1, 1), "red"), "PNG"))
    assert (picture.width, opened(picture.thumbnail).size) == (1, (256, 256))


def test_the_digest_is_that_of_what_is_kept():
    first, again = picture_of(photo()), picture_of(photo())
    assert first == again
    assert first.digest == picture_of(io.BytesIO(photo()).read()).digest
    assert first.digest != picture_of(photo(orientation=3)).digest
