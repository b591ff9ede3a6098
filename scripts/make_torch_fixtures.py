#!/usr/bin/env python3
"""Makes tests/fixtures: checkpoints of the published code and what that code computes from them.

    git clone https://github.com/monniert/dti-clustering
    python3 scripts/make_torch_fixtures.py dti-clustering

Needs PyTorch (made with 1.13) and numpy. What the published code imports besides these is replaced by stubs: none of it
takes part in what is computed here, except scipy.signal.gaussian, one line. None of the published code is stored: the
fixtures hold weights, which come from a formula, and numbers.
"""

import gzip
import io
import json
import struct
import sys
import types
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "tests" / "fixtures"
LIMIT = 64
# Weights repeat with this period, so that the files compress; a prime, so that no extent of a tensor is a multiple.
PERIOD = 251


def stub(name, **attributes):
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module
    return module


def unused(*_args, **_kwargs):
    raise NotImplementedError("a stub")


def import_published(checkout):
    gaussian = lambda n, std: np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / std) ** 2)
    stub("scipy", signal=stub("scipy.signal", gaussian=gaussian))
    stub("sklearn")
    stub("sklearn.cluster", KMeans=unused)
    stub("kornia", homography_warp=unused)
    stub("utils", coerce_to_path_and_check_exist=unused)
    stub("utils.logger", print_warning=print)
    sys.path.insert(0, str(checkout / "src"))
    from model import get_model

    return get_model


def images():
    """LIMIT digits, evenly spread over the set as `limit` takes them, float [N,1,28,28] in [0,1]."""
    data = gzip.decompress((ROOT / "datasets" / "mnist5k-images-idx3-ubyte.gz").read_bytes())
    _, n, h, w = struct.unpack(">4I", data[:16])
    pixels = np.frombuffer(data, np.uint8, offset=16).reshape(n, 1, h, w)
    picked = pixels[[i * n // LIMIT for i in range(LIMIT)]]
    return torch.from_numpy(picked.astype(np.float32) / np.float32(255))


def noise(count, tensor, seed):
    """Numbers in [-1,1), periodic; the hash is that of tests/golden/README.md."""
    i = np.arange(count, dtype=np.uint64) % PERIOD
    h = (i * 2654435761 + tensor * 40503 + 977 * seed) % 2**32
    h ^= h >> np.uint64(16)
    h = h * 0x85EBCA6B % 2**32
    h ^= h >> np.uint64(13)
    h = h * 0xC2B2AE35 % 2**32
    h ^= h >> np.uint64(16)
    return torch.from_numpy((h.astype(np.float64) / 2**31 - 1).astype(np.float32))


def fill(model, x, seed):
    """Gives every parameter a value: prototypes are images, convolutions keep the variance, heads move a little."""
    for n, (name, p) in enumerate(model.named_parameters(), start=1):
        u = noise(p.numel(), n, seed).reshape(p.shape)
        if p.numel() == 0:
            continue  # The identity has heads without outputs.
        if name in ("prototypes", "mus"):
            p.data.copy_(x[5 :: LIMIT // p.shape[0]][: p.shape[0]])
        elif name == "sigmas":
            p.data.copy_(0.5 + 0.1 * u)
        elif name == "mixing_params":
            p.data.copy_(1 + 0.5 * u)
        elif ".regressor.4." in name:
            p.data.copy_(0.03 * u)
        elif p.dim() == 1 and name.endswith(".weight"):
            p.data.copy_(1 + 0.2 * u)
        elif p.dim() == 1:
            p.data.copy_(0.1 * u)
        else:
            fan_in = p[0].numel()
            p.data.copy_((6 / fan_in) ** 0.5 * u)


def write(name, state, legacy=False):
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
    packed = gzip.compress(buffer.getvalue(), 9, mtime=0)
    (OUT / f"{name}.pt.gz").write_bytes(packed)
    print(f"{name}: {len(buffer.getvalue())} bytes, {len(packed)} compressed")


def checkpoint(get_model, x, name, model_name, kwargs, steps, seed, legacy=False):
    """A checkpoint as the published trainer writes it, `steps` epochs after the start, and its scores."""
    dataset = [(image, 0) for image in x]
    dataset = type("Images", (list,), {"n_channels": x.shape[1], "img_size": tuple(x.shape[2:])})(dataset)
    torch.manual_seed(seed)
    np.random.seed(seed)
    model = get_model(model_name)(dataset, **kwargs)
    fill(model, x, seed)
    with torch.no_grad():
        model.train()
        for _ in range(30):
            model(x)
        for _ in range(steps):
            model.step()
        model.eval()
        distances = model(x)[1]
    least, assignments = distances.min(1)
    optimizer = torch.optim.Adam(
        [dict(params=model.cluster_parameters()), dict(params=model.transformer_parameters(), weight_decay=1e-6)], lr=1e-3
    )
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [40, 60])
    scheduler_state = scheduler.state_dict()
    # Numbers of numpy find their way into the state of schedulers.
    scheduler_state["_last_lr"] = [np.float64(1e-3), np.float32(0.5)]
    write(
        name,
        {
            "epoch": steps + 1,
            "batch": 7,
            "model_name": model_name,
            "model_kwargs": kwargs,
            "model_state": model.state_dict(),
            "n_prototypes": model.n_prototypes,
            "optimizer_state": optimizer.state_dict(),
            "scheduler_state": scheduler_state,
        },
        legacy,
    )
    if model_name == "dtikmeans" and kwargs["transformation_sequence"] == "identity":
        # A state dict alone, of a model on several devices, in double precision.
        write(f"{name}_bare", {f"module.{key}": value.double() for key, value in model.state_dict().items()})
    second = distances.topk(2, 1, largest=False)[0]
    margin = ((second[:, 1] - second[:, 0]) / second[:, 0].abs()).min().item()
    sizes = torch.bincount(assignments, minlength=model.n_prototypes).tolist()
    print(f"  loss {least.mean().item():.6f}, sizes {sizes}, least relative margin {margin:.1e}")
    assert sum(size > 0 for size in sizes) > 1, "assignments should differ"
    for sequence in getattr(model.transformer, "tsf_sequences", []):
        sequence.activate_all()
    with torch.no_grad():
        all_active = model(x)[1].min(1)[0].double().mean().item()
    return {
        "limit": LIMIT,
        "loss_all_active": all_active,
        "loss": least.double().mean().item(),
        "assignments": assignments.tolist(),
        "distances": least.tolist(),
    }


def names_and_shapes(get_model):
    """The state dict of a model for colour images, every tensor a single zero, repeated."""
    images = torch.zeros(4, 3, 16, 16)
    dataset = type("Images", (list,), {"n_channels": 3, "img_size": (16, 16)})([(image, 0) for image in images])
    sequence = "id_color_proj_tps_morpho_aff"
    model = get_model("dtikmeans")(dataset, n_prototypes=2, encoder_name="resnet32", transformation_sequence=sequence)
    write("shapes", {name: torch.zeros(()).expand(value.shape) for name, value in model.state_dict().items()})


def kinds_of_tensors():
    """Everything that the reader of tensors knows, in one small file."""
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 8 - 1
    shared = torch.arange(10, dtype=torch.float64) / 4
    numbers = [-3, -0.5, 0, 1, 6.103515625e-05, 5.960464477539063e-08, 65504]
    return {
        "float": base,
        "transposed": base.permute(2, 0, 1),
        "slice": base[1, :, 1:3],
        "expanded": base[0, 0, :2].unsqueeze(0).expand(3, -1),
        "double": shared[2:5],
        "double_every_other": shared[1::2],
        "half": torch.tensor(numbers, dtype=torch.float16),
        "bfloat16": torch.tensor([-3, 0.5, 1e30], dtype=torch.bfloat16),
        "long": torch.tensor([-1, 2**20]),
        "int": torch.tensor([-1, 7], dtype=torch.int32),
        "short": torch.tensor([-300, 7], dtype=torch.int16),
        "char": torch.tensor([-128, 7], dtype=torch.int8),
        "byte": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "complex": torch.tensor([1j]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.tensor([1.5])),
        "numpy": np.float64(0.25),
        "array": np.arange(3),
        "big": 2**80,
        "text": "ä",
        "list": [1, 2.5, None, True, -(2**40), "x" * 300],
        "set": {1},
    }


def main():
    OUT.mkdir(exist_ok=True)
    get_model = import_published(Path(sys.argv[1]))
    x = images()
    scores = {}
    scores["kmeans_morpho_tps"] = checkpoint(
        get_model, x, "kmeans_morpho_tps", "dtikmeans",
        dict(n_prototypes=3, encoder_name="resnet20", transformation_sequence="identity_affine_morpho_tps",
             curriculum_learning=[1, 2, 9], grid_size=2, kernel_size=5, padding_mode="zeros",
             gaussian_weights=True, gaussian_weights_std=7), steps=3, seed=1,
    )
    scores["kmeans_color_legacy"] = checkpoint(
        get_model, x, "kmeans_color_legacy", "dtikmeans",
        dict(n_prototypes=3, encoder_name="resnet20", transformation_sequence="identity_color_affine"),
        steps=0, seed=2, legacy=True,
    )
    scores["gmm_affine"] = checkpoint(
        get_model, x, "gmm_affine", "dtigmm",
        dict(n_prototypes=3, encoder_name="resnet20", transformation_sequence="identity_affine"), steps=0, seed=3,
    )
    scores["kmeans_identity"] = checkpoint(
        get_model, x, "kmeans_identity", "dtikmeans", dict(n_prototypes=3, transformation_sequence="identity"), 0, 4,
    )
    names_and_shapes(get_model)
    write("tensors", kinds_of_tensors())
    write("tensors_legacy", kinds_of_tensors(), legacy=True)
    (OUT / "published_scores.json").write_text(json.dumps(scores, indent=0) + "\n")


main()
