#!/usr/bin/env python3
"""Makes tests/fixtures/data: small files of every format that data sets come in, by writers that are not ours.

    pip install numpy scipy h5py
    python3 scripts/make_data_fixtures.py

Made with numpy 2.4.6, scipy 1.17.1 and h5py 3.16.0. Pixels come from a formula, which the tests know as well. Only the
formats are those of the published sets; no image of theirs is here.
"""

import bz2
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "data"


def images(n, channels, height, width, first=0):
    """[n, channels, height, width]: no two of the axes can be exchanged unnoticed."""
    i, c, y, x = np.ogrid[first:first + n, 0:channels, 0:height, 0:width]
    return ((i * 37 + c * 101 + y * 5 + x * 3 + (y // 4) * (x // 8) * 11) % 256).astype(np.uint8)


def labels(n, classes=10, first=0):
    return (np.arange(first, first + n) % classes).astype(np.uint8)


def svhn():
    first = 0
    for part, n, compress in [("test", 3, True), ("train", 4, True), ("extra", 3, False)]:
        x = images(n, 3, 32, 32, first).transpose(2, 3, 1, 0)  # height, width, channels, images
        y = labels(n, 10, first).reshape(-1, 1)
        y[y == 0] = 10
        savemat(OUT / f"{part}_32x32.mat", {"X": x, "y": y}, do_compression=compress)
        first += n


def affnist():
    n = 6
    whole = images(n, 1, 40, 40).reshape(n, 1600)
    data = {
        "affine_matrix": np.zeros((6, n)),
        "human_readable_label": np.array([str(i) for i in range(n)], dtype=object),
        "image": np.asfortranarray(whole.T),
        "label_one_of_n": np.eye(10)[labels(n)].T,
        "label_int": labels(n).astype(np.float64).reshape(1, -1),
    }
    savemat(OUT / "affNIST_test.mat", {"affNISTdata": data}, do_compression=True)


def usps():
    x = images(12, 1, 16, 16).reshape(12, 256)
    y = labels(12)
    parts = {"train": slice(0, 8), "test": slice(8, 12)}
    for name, options in {
        "usps.h5": {},
        "usps_chunked.h5": {"chunks": (4, 100), "compression": "gzip", "shuffle": True, "fletcher32": True},
    }.items():
        with h5py.File(OUT / name, "w") as f:
            for part, rows in parts.items():
                group = f.create_group(part)
                group.create_dataset("data", data=(x[rows] / 255).astype(np.float32), **options)
                group.create_dataset("target", data=y[rows].astype(np.int64))
    with h5py.File(OUT / "usps_latest.h5", "w", libver="latest") as f:
        for part, rows in parts.items():
            group = f.create_group(part)
            group.create_dataset("data", data=(x[rows] / 255).astype(np.float32))
            group.create_dataset("target", data=y[rows].astype(np.int64))
    for name, rows in [("usps.bz2", parts["train"]), ("usps.t.bz2", parts["test"])]:
        text = ""
        for row, label in zip(x[rows], y[rows]):
            pairs = (f"{i}:{v:.6g}" for i, v in enumerate(row / 255 * 2 - 1, start=1))
            text += f"{label + 1} {' '.join(pairs)} \n"
        (OUT / name).write_bytes(bz2.compress(text.encode()))


def frgc():
    with h5py.File(OUT / "data4torch.h5", "w") as f:
        # Columns first, as MATLAB writes them.
        f.create_dataset("data", data=images(3, 3, 32, 32).swapaxes(2, 3).astype(np.float32), compression="gzip")
        f.create_dataset("labels", data=np.array([3, 1, 5], dtype=np.float32))


def cifar():
    x = images(6, 3, 32, 32).reshape(6, 3072)
    for i in range(6):
        name = "test_batch.bin" if i == 5 else f"data_batch_{i + 1}.bin"
        (OUT / name).write_bytes(bytes([i]) + x[i].tobytes())
    for name, i in [("train.bin", 0), ("test.bin", 1)]:
        (OUT / name).write_bytes(bytes([7, 50 + i]) + x[i].tobytes())


def numpy_files():
    x = images(6, 1, 12, 10)
    np.savez_compressed(OUT / "coil20.npz", images=x.transpose(0, 2, 3, 1).copy(), labels=labels(6))
    colour = images(4, 3, 12, 10).transpose(0, 2, 3, 1)
    np.savez(OUT / "umist32.npz", x=(colour / 255).astype(np.float64), y=labels(4).astype(np.int64))
    np.save(OUT / "orl-faces-images.npy", x[:, 0].astype(">f4"))
    np.save(OUT / "orl-faces-labels.npy", labels(6).astype(np.int32))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for make in [svhn, affnist, usps, frgc, cifar, numpy_files]:
        make()
