#!/usr/bin/env python3
"""Makes fixtures/convolutions.safetensors: gradients of convolutions in two and three dimensions in PyTorch float64.

  python3 convolutions.py [OUTPUT]        needs torch, numpy

Each network is a 1x1 convolution "first", the convolution "op" and a linear layer "fc" before a cross-entropy; parameters come from
actc's own generator (actc_rng.py). tests/unit/test_convolutions.c has the same table.
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH, CLASSES, CHANNELS = 5, 3, 4, 4
# name: sizes, kernel, stride, padding, dilation, output padding, transposed, groups, out channels
CASES = {
    "volume": ((5, 6, 7), (3, 2, 3), (1, 2, 1), (1, 0, 1), (1, 1, 1), (0, 0, 0), False, 1, 5),
    "volume-dilated": ((8, 7, 6), (2, 3, 2), (2, 1, 1), (1, 2, 0), (3, 2, 1), (0, 0, 0), False, 1, 3),
    "volume-depthwise": ((4, 5, 6), (3, 3, 2), (2, 1, 1), (1, 1, 0), (1, 1, 2), (0, 0, 0), False, 4, 8),
    "map-depthwise": ((7, 8), (3, 3), (2, 1), (1, 2), (1, 2), (0, 0), False, 4, 4),
    "map-transposed": ((4, 5), (3, 2), (2, 3), (1, 0), (1, 1), (1, 2), True, 1, 6),
    "map-transposed-dilated": ((4, 3), (2, 3), (1, 2), (0, 1), (2, 1), (0, 1), True, 1, 3),
    "volume-transposed": ((3, 2, 4), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), (0, 0, 0), True, 1, 5),
    "volume-transposed-odd": ((2, 3, 3), (3, 2, 3), (2, 1, 2), (1, 0, 1), (1, 1, 1), (1, 0, 0), True, 1, 2),
}


def parameter(name, shape, fan_in):
    return torch.tensor(np.array(actc_rng.initial(name, shape, fan_in, SEED)), dtype=torch.float64, requires_grad=True)


def run(name, images, labels):
    sizes, kernel, stride, padding, dilation, output_padding, transposed, groups, out = CASES[name]
    n = len(sizes)
    conv = (F.conv2d, F.conv3d)[n - 2]
    p = {"first.weight": parameter("first.weight", (CHANNELS, 2) + (1,) * n, 2), "first.bias": parameter("first.bias", (CHANNELS,), 2)}
    shape = ((CHANNELS, out) if transposed else (out, CHANNELS // groups)) + kernel
    fan_in = int(np.prod(shape[1:]))
    p["op.weight"], p["op.bias"] = parameter("op.weight", shape, fan_in), parameter("op.bias", (out,), fan_in)
    x = conv(torch.tensor(images, dtype=torch.float64), p["first.weight"], p["first.bias"])
    if transposed:
        deconv = (F.conv_transpose2d, F.conv_transpose3d)[n - 2]
        x = deconv(x, p["op.weight"], p["op.bias"], stride, padding, output_padding, 1, dilation)
    else:
        x = conv(x, p["op.weight"], p["op.bias"], stride, padding, dilation, groups)
    x = x.flatten(1)
    p["fc.weight"] = parameter("fc.weight", (CLASSES, x.shape[1]), x.shape[1])
    p["fc.bias"] = parameter("fc.bias", (CLASSES,), x.shape[1])
    loss = F.cross_entropy(F.linear(x, p["fc.weight"], p["fc.bias"]), torch.tensor(labels))
    loss.backward()
    out = {"loss": np.array([loss.item()]), "images": images, "labels": labels}
    out.update({"grad." + k: t.grad.numpy() for k, t in p.items()})
    return {f"{name}|{k}": v for k, v in out.items()}


def main():
    default = Path(__file__).parent / "fixtures" / "convolutions.safetensors"
    rng = np.random.default_rng(20261127)
    tensors = {}
    for name in CASES:
        images = rng.normal(size=(BATCH, 2) + CASES[name][0]).astype(np.float32)
        tensors.update(run(name, images, rng.integers(0, CLASSES, BATCH)))
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
