#!/usr/bin/env python3
"""Makes tests/fixtures/images/profiles: a picture in the colours of several ICC profiles, and what lcms2 makes of it in sRGB.

    pip install numpy pillow imagecodecs
    python3 scripts/make_profile_fixtures.py

Made with numpy 2.4.6, Pillow 13.0.0 (lcms2) and imagecodecs 2026.3.6. The profiles are written here, byte by byte: none is
taken from elsewhere. expected.json holds, for each file, the pixels (red, green, blue, in hexadecimal) that Pillow gives
after ImageCms.profileToProfile.
"""

import io
import json
import struct
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, ImageCms

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "images" / "profiles"
SIDE = 12
D50 = (0.9642, 1.0, 0.8249)
# Primaries adapted to D50, as the standards publish them.
WIDE = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]
SRGB = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]


def fixed(values):
    return b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def profile(kind, space, pcs, tags):
    tags = {b"desc": text("made"), b"cprt": text("public domain"), b"wtpt": xyz(D50), **tags}
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"made", 0x02400000, kind, space, pcs)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(D50)
    return head.ljust(128, b"\0") + table + body


def text(words):
    words = words.encode() + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(words)) + words + bytes(78)


def xyz(values):
    return b"XYZ " + bytes(4) + fixed(values)


def gamma(value):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


def curve(values):
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + b"".join(struct.pack(">H", v) for v in values)


def matrix(primaries, trc):
    tags = {name: xyz(p) for name, p in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries)}
    return profile(b"mntr", b"RGB ", b"XYZ ", {**tags, b"rTRC": trc, b"gTRC": trc, b"bTRC": trc})


def srgb_curve():
    v = np.linspace(0, 1, 1024)
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return curve((linear * 65535).round().astype(int))


def press():
    """Four inks on paper that is not white: a table of 3 x 3 x 3 x 3 colours in Lab."""
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 3)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    paper, inks = np.array([0.92, 0.90, 0.84]), np.array([[0.1, 0.5, 0.8], [0.8, 0.1, 0.4], [0.95, 0.85, 0.1], [0.1, 0.1, 0.12]])
    light = paper * np.prod(1 - grid[:, :, None] * (1 - inks[None]), axis=1)
    t = (light @ np.array(SRGB)) / np.array(D50)
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    coded = np.stack([lab[:, 0] * 255 / 100, lab[:, 1] + 128, lab[:, 2] + 128], axis=1).round().clip(0, 255)
    straight = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 3, 0]) + fixed([1, 0, 0, 0, 1, 0, 0, 0, 1])
    lut += straight * 4 + coded.astype(np.uint8).tobytes() + straight * 3
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})


def picture():
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return np.stack([20 + 20 * x, 15 + 19 * y, 128 + 90 * np.sin(x / 3.0 + y / 2.0)], axis=2).clip(0, 255).astype(np.uint8)


def ink():
    rgb = picture().astype(int)
    black = (255 - rgb.max(axis=2)) // 2
    return np.dstack([(255 - rgb - black[..., None]).clip(0, 255), black]).astype(np.uint8)


def write():
    OUT.mkdir(exist_ok=True)
    image = Image.fromarray(picture())
    grey = image.convert("L")
    wide, dull = matrix(WIDE, gamma(2.2)), profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma(1.4)})
    standard, inks = matrix(SRGB, srgb_curve()), press()
    image.save(OUT / "wide.png", icc_profile=wide)
    image.save(OUT / "wide.jpg", icc_profile=wide, quality=95, subsampling=0)
    image.save(OUT / "wide.webp", icc_profile=wide, lossless=True)
    image.save(OUT / "wide.tif", icc_profile=wide)
    image.save(OUT / "standard.png", icc_profile=standard)
    grey.save(OUT / "grey.png", icc_profile=dull)
    # A grey picture in a space of colours, as some cameras write them.
    grey.save(OUT / "grey_wide.jpg", icc_profile=matrix(WIDE, gamma(1.8)), quality=95)
    Image.fromarray(ink(), mode="CMYK").save(OUT / "cmyk.jpg", icc_profile=inks, quality=95)
    ycck = imagecodecs.jpeg8_encode(255 - ink(), level=95, colorspace="CMYK", outcolorspace="YCCK", subsampling="444")
    segment = b"ICC_PROFILE\0\1\1" + inks
    (OUT / "ycck.jpg").write_bytes(ycck[:2] + b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment + ycck[2:])
    # Profiles that say nothing of use: the picture is taken as it is.
    image.save(OUT / "broken.png", icc_profile=wide[:100])
    image.save(OUT / "other.png", icc_profile=dull)


def seen(path):
    """What lcms2 makes of a file: RGB."""
    image = Image.open(path)
    if path.stem in ("broken", "other"):
        return image.convert("RGB")
    source = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    if path.stem == "grey_wide":
        image = image.convert("RGB")
    intent = ImageCms.Intent.PERCEPTUAL
    return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), intent, outputMode="RGB")


def main():
    write()
    files = sorted(p for p in OUT.iterdir() if p.suffix != ".json")
    expected = {path.name: seen(path).tobytes().hex() for path in files}
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
