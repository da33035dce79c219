#!/usr/bin/env python3
"""Makes fixtures/unet3d_gradients.safetensors: gradients and running statistics of a small 3-D U-Net in PyTorch float64.

  python3 unet3d_gradients.py [OUTPUT]        needs torch, numpy

One training step and one evaluation after it (with the running statistics that the step left) of two volumes of 2x8x12x8: 3 features,
2 levels, 3 classes, cross-entropy of every voxel but those whose label is -1. Parameters come from actc's own generator (actc_rng.py).
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH, CHANNELS, SIZE, FEATURES, DEPTH, CLASSES = 11, 2, 2, (8, 12, 8), 3, 2, 3


class Block(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(cin, cout, 3, padding=1), nn.BatchNorm3d(cout)
        self.conv2, self.bn2 = nn.Conv3d(cout, cout, 3, padding=1), nn.BatchNorm3d(cout)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class Up(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.up, self.block = nn.ConvTranspose3d(cin, cout, 2, 2), Block(2 * cout, cout)

    def forward(self, x, skip):
        return self.block(torch.cat([self.up(x), skip], 1))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [FEATURES << i for i in range(DEPTH + 1)]
        for i in range(DEPTH):
            setattr(self, f"e{i + 1}", Block(CHANNELS if i == 0 else widths[i - 1], widths[i]))
            setattr(self, f"d{i + 1}", Up(widths[DEPTH - i], widths[DEPTH - 1 - i]))
        self.b, self.head = Block(widths[-2], widths[-1]), nn.Conv3d(FEATURES, CLASSES, 1)

    def forward(self, x):
        skips = []
        for i in range(DEPTH):
            skips.append(getattr(self, f"e{i + 1}")(x))
            x = F.max_pool3d(skips[-1], 2)
        x = self.b(x)
        for i in range(DEPTH):
            x = getattr(self, f"d{i + 1}")(x, skips[DEPTH - 1 - i])
        return self.head(x)


def main():
    default = Path(__file__).parent / "fixtures" / "unet3d_gradients.safetensors"
    rng = np.random.default_rng(20261127)
    images = rng.normal(size=(BATCH, CHANNELS) + SIZE).astype(np.float32)
    labels = rng.integers(-1, CLASSES, (BATCH,) + SIZE)
    net = UNet().double()
    for n, p in net.named_parameters():
        if "bn" not in n:
            weight = dict(net.named_parameters())[n.rsplit(".", 1)[0] + ".weight"]
            p.data = torch.tensor(np.array(actc_rng.initial(n, tuple(p.shape), int(np.prod(weight.shape[1:])), SEED)), dtype=torch.float64)
    x, y = torch.tensor(images, dtype=torch.float64), torch.tensor(labels)
    loss = F.cross_entropy(net(x), y, ignore_index=-1)
    loss.backward()
    out = {"loss": np.array([loss.item()])}
    out.update({"grad." + n: p.grad.numpy() for n, p in net.named_parameters()})
    out.update({n: b.numpy() for n, b in net.named_buffers() if "num_batches" not in n})
    net.eval()
    with torch.no_grad():
        logits = net(x)
    out["evaluated"] = np.array([F.cross_entropy(logits, y, reduction="sum", ignore_index=-1).item()])
    out["logits"] = logits.numpy()
    tensors = {"images": images, "labels": labels}
    tensors.update({f"unet|{k}": v for k, v in out.items()})
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
