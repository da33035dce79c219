#!/usr/bin/env python3
"""Makes fixtures/edsr_gradients.safetensors: gradients of small EDSR networks in PyTorch float64.

  python3 edsr_gradients.py [OUTPUT]        needs torch, numpy

One training step with the L1 loss, and the enlarged images, of two images of 3x6x5: 4 features; scale 4 with 2 residual blocks, and
scale 3 with one. Parameters that are trained come from actc's own generator (actc_rng.py).
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH, SIZE, FEATURES = 11, 2, (6, 5), 4
MEAN = torch.tensor([0.4488, 0.4371, 0.4040]) * 255


def shift(sign):
    conv = nn.Conv2d(3, 3, 1)
    conv.weight.data, conv.bias.data = torch.eye(3).view(3, 3, 1, 1), sign * MEAN
    return conv.requires_grad_(False)


def conv3(cin, cout):
    return nn.Conv2d(cin, cout, 3, padding=1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(conv3(FEATURES, FEATURES), nn.ReLU(), conv3(FEATURES, FEATURES))

    def forward(self, x):
        return x + 0.1 * self.body(x)


class EDSR(nn.Module):
    def __init__(self, scale, blocks):
        super().__init__()
        up = []
        for factor in (2, 2) if scale == 4 else (scale,):
            up += [conv3(FEATURES, FEATURES * factor ** 2), nn.PixelShuffle(factor)]
        self.sub_mean, self.add_mean, self.head = shift(-1), shift(1), nn.Sequential(conv3(3, FEATURES))
        self.body = nn.Sequential(*(Block() for _ in range(blocks)), conv3(FEATURES, FEATURES))
        self.tail = nn.Sequential(nn.Sequential(*up), conv3(FEATURES, 3))

    def forward(self, x):
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(x + self.body(x)))


def main():
    default = Path(__file__).parent / "fixtures" / "edsr_gradients.safetensors"
    rng = np.random.default_rng(20261128)
    tensors = {"images": rng.uniform(0, 255, (BATCH, 3) + SIZE).astype(np.float32)}
    x = torch.tensor(tensors["images"], dtype=torch.float64)
    for name, scale, blocks in (("edsr", 4, 2), ("edsr x3", 3, 1)):
        net = EDSR(scale, blocks).double()
        for n, p in net.named_parameters():
            if p.requires_grad:
                weight = dict(net.named_parameters())[n.rsplit(".", 1)[0] + ".weight"]
                p.data = torch.tensor(np.array(actc_rng.initial(n, tuple(p.shape), int(np.prod(weight.shape[1:])), SEED)), dtype=torch.float64)
        y = net(x)
        target = rng.uniform(0, 255, y.shape).astype(np.float32)
        loss = F.l1_loss(y, torch.tensor(target, dtype=torch.float64))
        loss.backward()
        out = {"loss": np.array([loss.item()]), "targets": target, "logits": y.detach().numpy(),
               "evaluated": np.array([loss.item() * target.size])}
        out.update({"grad." + n: p.grad.numpy() for n, p in net.named_parameters() if p.requires_grad})
        out.update({"param." + n: p.detach().numpy() for n, p in net.named_parameters()})
        tensors.update({f"{name}|{k}": v for k, v in out.items()})
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
