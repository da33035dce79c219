#!/usr/bin/env python3
"""Makes fixtures/deeplab_gradients.safetensors: gradients and running statistics of a small DeepLabV3+ in PyTorch float64.

  python3 deeplab_gradients.py [OUTPUT]        needs torch, numpy

One training step without dropout, and one evaluation after it (with the running statistics that the step left), of images of 3x33x40:
width 0.1 and 4 features, 5 classes, cross-entropy of every position but those whose label is -1. Parameters come from actc's own
generator (actc_rng.py), but those of batch norms are here: with biases of 0, what is normalised at the zeros around a block's input is
0 but for rounding, where ReLU6 has its kink, and gradients would be those of chance.
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH, SIZE, WIDTH, FEATURES, CLASSES = 11, 4, (33, 40), 0.1, 4, 5


def conv_bn(cin, cout, kernel, act=nn.ReLU, **options):
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, bias=False, **options), nn.BatchNorm2d(cout), act())


class InvertedResidual(nn.Module):
    def __init__(self, cin, cout, stride, dilation, expand):
        super().__init__()
        inner, self.pad, self.add = expand * cin, dilation, stride == 1 and cin == cout
        layers = [conv_bn(cin, inner, 1, nn.ReLU6)] if expand > 1 else []
        layers.append(conv_bn(inner, inner, 3, nn.ReLU6, stride=stride, dilation=dilation, groups=inner))
        self.conv = nn.Sequential(*layers, nn.Conv2d(inner, cout, 1, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.conv(F.pad(x, [self.pad] * 4))
        return x + y if self.add else y


def scaled(channels):
    n = max(8, int(channels * WIDTH + 4) // 8 * 8)
    return n + 8 if n < 0.9 * channels * WIDTH else n


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        cin = scaled(32)
        layers = [conv_bn(3, cin, 3, nn.ReLU6, stride=2)]
        # of each stage: expansion, channels, blocks, stride and dilation of the first block, dilation of the others
        for t, c, n, s, first, rest in ((1, 16, 1, 1, 1, 1), (6, 24, 2, 2, 1, 1), (6, 32, 3, 2, 1, 1), (6, 64, 4, 1, 1, 2),
                                        (6, 96, 3, 1, 2, 2), (6, 160, 3, 1, 2, 4), (6, 320, 1, 1, 4, 4)):
            for i in range(n):
                layers.append(InvertedResidual(cin, scaled(c), 1 if i else s, rest if i else first, t))
                cin = scaled(c)
        self.features, self.channels = nn.Sequential(*layers), cin


class Pyramid(nn.Module):
    def __init__(self, cin):
        super().__init__()
        self.convs = nn.ModuleList([conv_bn(cin, FEATURES, 1)] +
                                   [conv_bn(cin, FEATURES, 3, padding=r, dilation=r) for r in (12, 24, 36)])
        self.pool, self.project = conv_bn(cin, FEATURES, 1), conv_bn(5 * FEATURES, FEATURES, 1)

    def forward(self, x):
        mean = self.pool(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([c(x) for c in self.convs] + [mean], 1))


def resize(x, like):
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class DeepLab(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = MobileNetV2()
        self.project, self.aspp = conv_bn(scaled(24), 48, 1), Pyramid(self.backbone.channels)
        self.classifier = nn.Sequential(*conv_bn(FEATURES + 48, FEATURES, 3, padding=1), nn.Conv2d(FEATURES, CLASSES, 1))

    def forward(self, x):
        low = self.backbone.features[:4](x)
        y = self.aspp(self.backbone.features[4:](low))
        low = self.project(low)
        return resize(self.classifier(torch.cat([low, resize(y, low)], 1)), x)


def main():
    default = Path(__file__).parent / "fixtures" / "deeplab_gradients.safetensors"
    rng = np.random.default_rng(2)
    images = rng.normal(size=(BATCH, 3) + SIZE).astype(np.float32)
    labels = rng.integers(-1, CLASSES, (BATCH,) + SIZE)
    net, norms = DeepLab().double(), {}
    for n, p in net.named_parameters():
        weight = dict(net.named_parameters())[n.rsplit(".", 1)[0] + ".weight"]
        if weight.dim() > 1: # of a convolution
            p.data = torch.tensor(np.array(actc_rng.initial(n, tuple(p.shape), int(np.prod(weight.shape[1:])), SEED)), dtype=torch.float64)
        else:
            p.data = torch.tensor(rng.normal(float(n.endswith("weight")), 0.2, p.shape).astype(np.float32), dtype=torch.float64)
            norms["param." + n] = p.data.numpy()
    x, y = torch.tensor(images, dtype=torch.float64), torch.tensor(labels)
    loss = F.cross_entropy(net(x), y, ignore_index=-1)
    loss.backward()
    out = {"loss": np.array([loss.item()]), **norms}
    out.update({"grad." + n: p.grad.numpy() for n, p in net.named_parameters()})
    out.update({n: b.numpy() for n, b in net.named_buffers() if "num_batches" not in n})
    net.eval()
    with torch.no_grad():
        logits = net(x)
    out["evaluated"] = np.array([F.cross_entropy(logits, y, reduction="sum", ignore_index=-1).item()])
    out["logits"] = logits.numpy()
    tensors = {"images": images, "labels": labels}
    tensors.update({f"deeplab|{k}": v for k, v in out.items()})
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
