#!/usr/bin/env python3
"""Makes fixtures/resnet_gradients.safetensors: gradients and running statistics of two small ResNets in PyTorch float64.

  python3 resnet_gradients.py [OUTPUT]        needs torch, numpy

One training step and one evaluation after it (with the running statistics that the step left) of 16x16 images in batches of 4:
"basic" has basic blocks, "bottleneck" bottlenecks of twice the inner width, depths 1,1,1,1 and 2,1,1,1, 4 planes. Parameters come
from actc's own generator (actc_rng.py).
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH, SIDE, WIDTH, CLASSES = 11, 4, 16, 4, 7


class Block(nn.Module):
    def __init__(self, cin, planes, stride, bottleneck, inner):
        super().__init__()
        out = 4 * planes if bottleneck else planes
        shapes = [(cin, inner, 1, 1), (inner, inner, 3, stride), (inner, out, 1, 1)] if bottleneck else \
                 [(cin, planes, 3, stride), (planes, planes, 3, 1)]
        for i, (a, b, k, s) in enumerate(shapes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(a, b, k, s, k // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(b))
        self.n = len(shapes)
        self.downsample = None if stride == 1 and cin == out else \
            nn.Sequential(nn.Conv2d(cin, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for i in range(1, self.n + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(F.relu(y) if i > 1 else y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, depths, bottleneck, group_width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, WIDTH, 3, 1, 1, bias=False), nn.BatchNorm2d(WIDTH)
        cin = WIDTH
        for layer, depth in enumerate(depths):
            planes = WIDTH << layer
            blocks = []
            for i in range(depth):
                blocks.append(Block(cin, planes, 2 if layer and not i else 1, bottleneck, planes * group_width // 64))
                cin = 4 * planes if bottleneck else planes
            setattr(self, f"layer{layer + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(cin, CLASSES)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for layer in range(4):
            x = getattr(self, f"layer{layer + 1}")(x)
        return self.fc(x.mean((2, 3)))


def run(name, depths, bottleneck, group_width, images, labels):
    net = ResNet(depths, bottleneck, group_width).double()
    for n, p in net.named_parameters():
        if "bn" not in n and "downsample.1" not in n:
            fan_in = net.fc.in_features if n.startswith("fc") else int(np.prod(p.shape[1:]))
            p.data = torch.tensor(np.array(actc_rng.initial(n, tuple(p.shape), fan_in, SEED)), dtype=torch.float64)
    x, y = torch.tensor(images, dtype=torch.float64), torch.tensor(labels)
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    out = {"loss": np.array([loss.item()])}
    out.update({"grad." + n: p.grad.numpy() for n, p in net.named_parameters()})
    out.update({n: b.numpy() for n, b in net.named_buffers() if "num_batches" not in n})
    net.eval()
    with torch.no_grad():
        logits = net(x)
    out["evaluated"] = np.array([F.cross_entropy(logits, y, reduction="sum").item()])
    out["logits"] = logits.numpy()
    return {f"{name}|{k}": v for k, v in out.items()}


def main():
    default = Path(__file__).parent / "fixtures" / "resnet_gradients.safetensors"
    rng = np.random.default_rng(20261127)
    images = rng.normal(size=(BATCH, 3, SIDE, SIDE)).astype(np.float32)
    labels = rng.integers(0, CLASSES, BATCH)
    tensors = {"images": images, "labels": labels}
    tensors.update(run("basic", (1, 1, 1, 1), False, 64, images, labels))
    tensors.update(run("bottleneck", (2, 1, 1, 1), True, 128, images, labels))
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
