#!/usr/bin/env python3
"""Makes fixtures/losses.safetensors: losses of maps and volumes and their gradients in PyTorch float64.

  python3 losses.py [OUTPUT]        needs torch, numpy

Each network is a 1x1 convolution "first", bilinear resampling of some, a ReLU where the loss takes probabilities as they are, and
the loss; parameters come from actc's own generator (actc_rng.py). Dice is MONAI's DiceLoss (1.4), written out.
tests/unit/test_losses.c has the same table.
"loss" is the mean over a batch, "sum" what the first two samples add up to, "count" how many terms the mean has.
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH, PART = 9, 3, 2
# name: sizes, classes, kind of loss, its options
CASES = {
    "l1-map": ((7, 5), 3, "l1", {}),
    "l1-volume": ((3, 4, 5), 2, "l1", {}),
    "mse-map": ((6, 9), 3, "mse", {}),
    "dice-brats": ((4, 5, 3), 3, "masks", {"sigmoid": True, "squared_pred": True, "smooth_nr": 0.0}),
    "dice-spleen": ((5, 3, 4), 2, "labels", {"softmax": True}),
    "dice-foreground": ((8, 7), 5, "labels", {"softmax": True, "include_background": False, "smooth_nr": 1.0, "smooth_dr": 1.0}),
    "dice-batch": ((6, 5), 4, "labels", {"softmax": True, "batch": True, "squared_pred": True}),
    "dice-probabilities": ((9, 4), 3, "masks", {"include_background": False}),
    "mse-enlarged": ((6, 5), 3, "mse", {}),
    "mse-enlarged-corners": ((5, 7), 4, "mse", {}),
    "mse-reduced": ((13, 17), 2, "mse", {}),
    "dice-enlarged": ((4, 4), 3, "labels", {"softmax": True}),
}
# name: size that it is resampled to, align_corners
RESIZED = {"mse-enlarged": ((24, 13), False), "mse-enlarged-corners": ((11, 21), True), "mse-reduced": ((4, 9), False),
           "dice-enlarged": ((16, 16), False)}


def dice(scores, target, sigmoid=False, softmax=False, include_background=True, squared_pred=False, batch=False, smooth_nr=1e-5,
         smooth_dr=1e-5):
    """The loss of each sample and class, or of each class. target: of the scores' shape, or classes."""
    if target.shape != scores.shape:
        target = torch.movedim(F.one_hot(target, scores.shape[1]), -1, 1)
    p = torch.sigmoid(scores) if sigmoid else torch.softmax(scores, 1) if softmax else scores
    t = target.to(p.dtype)
    if not include_background:
        p, t = p[:, 1:], t[:, 1:]
    axes = ([0] if batch else []) + list(range(2, p.ndim))
    overlap = torch.sum(t * p, axes)
    size = torch.sum(t**2 + p**2, axes) if squared_pred else torch.sum(t + p, axes)
    return 1 - (2 * overlap + smooth_nr) / (size + smooth_dr)


def terms(kind, options, x, target):
    if kind == "l1":
        return torch.abs(x - target)
    return (x - target) ** 2 if kind == "mse" else dice(x, target, **options)


def parameter(name, shape, fan_in):
    return torch.tensor(np.array(actc_rng.initial(name, shape, fan_in, SEED)), dtype=torch.float64, requires_grad=True)


def run(name, rng):
    sizes, classes, kind, options = CASES[name]
    n = len(sizes)
    images = rng.normal(size=(BATCH, 2) + sizes).astype(np.float32)
    sizes = RESIZED[name][0] if name in RESIZED else sizes
    target = rng.normal(size=(BATCH, classes) + sizes).astype(np.float32)
    if kind == "labels":
        target = rng.integers(0, classes, (BATCH,) + sizes)
    elif kind == "masks":
        target = (target > 0.4).astype(np.float32)
    shape = (classes, 2) + (1,) * n
    p = {"first.weight": parameter("first.weight", shape, 2), "first.bias": parameter("first.bias", (classes,), 2)}
    x = (F.conv2d, F.conv3d)[n - 2](torch.tensor(images, dtype=torch.float64), p["first.weight"], p["first.bias"])
    if name in RESIZED:
        x = F.interpolate(x, size=sizes, mode="bilinear", align_corners=RESIZED[name][1])
    if kind == "masks" and "sigmoid" not in options:
        x = F.relu(x)
    t = torch.tensor(target) if kind == "labels" else torch.tensor(target, dtype=torch.float64)
    of_batch = terms(kind, options, x, t)
    of_batch.mean().backward()
    part = of_batch if options.get("batch") else terms(kind, options, x[:PART], t[:PART])
    out = {"loss": np.array([of_batch.mean().item()]), "sum": np.array([part.sum().item()]), "count": np.array([part.numel()])}
    out.update({"images": images, "target": target})
    out.update({"grad." + k: v.grad.numpy() for k, v in p.items()})
    return {f"{name}|{k}": v for k, v in out.items()}


def main():
    default = Path(__file__).parent / "fixtures" / "losses.safetensors"
    rng = np.random.default_rng(20261128)
    tensors = {}
    for name in CASES:
        tensors.update(run(name, rng))
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
