#!/usr/bin/env python3
"""Makes tests/fixtures/images: the same picture in every kind of file that photographs come in, and what Pillow makes of it.

    pip install numpy pillow imagecodecs
    python3 scripts/make_image_fixtures.py

Made with numpy 2.4.6, Pillow 13.0.0 and imagecodecs 2026.3.6 (for YCCK and 16-bit colour). expected.json holds, for each
file, the pixels (red, green, blue, in hexadecimal) that Pillow gives after EXIF orientation, on white, brought to 12 x 12
by a triangle filter. damaged/ holds files that cannot be read.
"""

import json
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, ImageOps

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "images"
SIDE = 12
WIDTH, HEIGHT = 40, 24


def picture():
    """Smooth, and different in every corner and channel."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    red, green = 20 + 5 * x, 30 + 8 * y
    blue = 128 + 70 * np.sin(x / 9.0 + y / 5.0)
    return np.stack([red, green, blue], axis=2).clip(0, 255).astype(np.uint8)


def alpha():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (255 - 6 * x + 0 * y).clip(0, 255).astype(np.uint8)


def write():
    rgb = picture()
    image = Image.fromarray(rgb)
    grey = image.convert("L")
    rgba = Image.fromarray(np.dstack([rgb, alpha()]))
    best = {"quality": 95, "subsampling": 0}

    image.save(OUT / "rgb.jpg", **best)
    image.save(OUT / "subsampled.jpg", quality=95, subsampling=2)
    image.save(OUT / "progressive.jpg", progressive=True, **best)
    grey.save(OUT / "grey.jpg", quality=95)
    image.convert("CMYK").save(OUT / "cmyk.jpg", quality=95)
    # Adobe's files hold the inverse of the ink.
    ink = np.array(image.convert("CMYK"))
    ink[..., 3] = ink[..., :3].min(axis=2) // 2
    ink[..., :3] -= ink[..., 3:]
    ycck = imagecodecs.jpeg8_encode(255 - ink, level=95, colorspace="CMYK", outcolorspace="YCCK", subsampling="444")
    (OUT / "ycck.jpg").write_bytes(ycck)

    # What is stored so that a viewer who follows the tag sees the picture.
    undo = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}
    for number, steps in undo.items():
        turned = image
        for step in steps:
            turned = turned.transpose(Image.Transpose(step))
        exif = Image.Exif()
        exif[0x0112] = number
        turned.save(OUT / f"exif_{number}.jpg", exif=exif, **best)
        if number == 6:
            turned.save(OUT / "exif_6.png", exif=exif)
            turned.save(OUT / "exif_6.webp", exif=exif, lossless=True)

    image.save(OUT / "rgb.png")
    grey.save(OUT / "grey.png")
    rgba.save(OUT / "rgba.png")
    Image.merge("LA", [grey, Image.fromarray(alpha())]).save(OUT / "grey_alpha.png")
    image.quantize(64).save(OUT / "palette.png")
    image.quantize(64).save(OUT / "palette_transparent.png", transparency=3)
    grey.point(lambda v: 255 * (v > 100)).convert("1").save(OUT / "bits.png")
    wide = rgb.astype(np.uint16) * 257
    (OUT / "rgb_16.png").write_bytes(imagecodecs.png_encode(wide))
    Image.fromarray(np.array(grey).astype(np.uint16) * 257).save(OUT / "grey_16.png")
    image.save(OUT / "lossy.webp", quality=95)
    image.save(OUT / "lossless.webp", lossless=True)
    rgba.save(OUT / "rgba.webp", lossless=True)
    image.quantize(128).save(OUT / "palette.gif")
    image.save(OUT / "rgb.bmp")
    image.save(OUT / "rgb.tif", compression="tiff_lzw")
    image.convert("CMYK").save(OUT / "cmyk.tif")


def seen(path):
    """What Pillow shows of a file: RGB."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.array(image) / 257).round().astype(np.uint8))
    image = image.convert("RGBA") if image.mode != "CMYK" else image.convert("RGB").convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def fitted(image, fit):
    width, height = image.size
    if fit == "stretch":
        return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if fit == "crop":
        short = min(width, height)
        left, top = (width - short) / 2, (height - short) / 2
        box = (left, top, left + short, top + short)
        return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    small = [max(1, round(side * SIDE / max(width, height))) for side in (width, height)]
    padded = Image.new("RGB", (SIDE, SIDE), "black")
    padded.paste(image.resize(small, Image.Resampling.BILINEAR), tuple((SIDE - s) // 2 for s in small))
    return padded


def expect():
    expected = {}
    for path in sorted(p for p in OUT.iterdir() if p.is_file() and p.suffix != ".json"):
        fits = ["crop", "stretch", "pad"] if path.stem in ("rgb", "exif_6") else ["crop"]
        expected[path.name] = {fit: fitted(seen(path), fit).tobytes().hex() for fit in fits}
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def damage():
    folder = OUT / "damaged"
    folder.mkdir(exist_ok=True)
    jpeg = (OUT / "rgb.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(jpeg[: len(jpeg) * 3 // 4])
    (folder / "truncated.png").write_bytes((OUT / "rgb.png").read_bytes()[:300])
    (folder / "truncated.webp").write_bytes((OUT / "lossless.webp").read_bytes()[:200])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_bytes(b"no picture at all\n")
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)
    frame = jpeg.index(b"\xff\xc0")
    (folder / "bomb.jpg").write_bytes(jpeg[: frame + 5] + struct.pack(">HH", 65000, 65000) + jpeg[frame + 9:])


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    write()
    expect()
    damage()
    for path in sorted(OUT.rglob("*")):
        print(path.relative_to(OUT), path.stat().st_size)
