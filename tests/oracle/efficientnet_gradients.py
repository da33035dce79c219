#!/usr/bin/env python3
"""Makes fixtures/efficientnet_gradients.safetensors: gradients and running statistics of small EfficientNets in PyTorch float64.

  python3 efficientnet_gradients.py [OUTPUT]        needs torch, numpy

One training step and one evaluation after it (with the running statistics that the step left) of four 48x48 images of one channel:
"efficientnet" has SiLU, "efficientnet relu" ReLU, "efficientnet tf" the padding and epsilon of TensorFlow's. Parameters come from actc's
own generator (actc_rng.py). Names are timm's.
"""
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH, SIDE, CHANNELS, CLASSES = 11, 4, 48, 1, 7
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))


class SameConv2d(nn.Conv2d):
    """TensorFlow's padding: ceil(size / stride) outputs, the odd element behind."""
    def forward(self, x):
        both = [max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in zip(x.shape[2:], self.kernel_size, self.stride)]
        return super().forward(F.pad(x, (both[1] // 2, both[1] - both[1] // 2, both[0] // 2, both[0] - both[0] // 2)))


def conv(tf, cin, cout, k, stride=1, groups=1):
    return (SameConv2d if tf else nn.Conv2d)(cin, cout, k, stride, 0 if tf else k // 2, groups=groups, bias=False)


def norm(tf, channels):
    return nn.BatchNorm2d(channels, 1e-3 if tf else 1e-5)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduced, act):
        super().__init__()
        self.conv_reduce, self.conv_expand, self.act = nn.Conv2d(channels, reduced, 1), nn.Conv2d(reduced, channels, 1), act

    def forward(self, x):
        return x * torch.sigmoid(self.conv_expand(self.act(self.conv_reduce(x.mean((2, 3), keepdim=True)))))


class Block(nn.Module):
    def __init__(self, cin, cout, k, stride, expand, act, tf):
        super().__init__()
        inner = expand * cin
        dw, se = conv(tf, inner, inner, k, stride, inner), SqueezeExcite(inner, cin // 4, act)
        if expand == 1:
            self.conv_dw, self.bn1, self.se, self.conv_pw, self.bn2 = dw, norm(tf, inner), se, conv(tf, inner, cout, 1), norm(tf, cout)
        else:
            self.conv_pw, self.bn1, self.conv_dw, self.bn2 = conv(tf, cin, inner, 1), norm(tf, inner), dw, norm(tf, inner)
            self.se, self.conv_pwl, self.bn3 = se, conv(tf, inner, cout, 1), norm(tf, cout)
        self.act, self.expand, self.skip = act, expand, stride == 1 and cin == cout

    def forward(self, x):
        if self.expand == 1:
            y = self.bn2(self.conv_pw(self.se(self.act(self.bn1(self.conv_dw(x))))))
        else:
            y = self.se(self.act(self.bn2(self.conv_dw(self.act(self.bn1(self.conv_pw(x)))))))
            y = self.bn3(self.conv_pwl(y))
        return x + y if self.skip else y


class EfficientNet(nn.Module):
    def __init__(self, width, depth, act, tf=False, channels=CHANNELS, classes=CLASSES):
        super().__init__()

        def planes(of_b0):
            n = max(8, int(of_b0 * width + 4) // 8 * 8)
            return n + 8 if n < 0.9 * of_b0 * width else n
        cin, stages = planes(32), []
        self.conv_stem, self.bn1, self.act = conv(tf, channels, cin, 3, 2), norm(tf, cin), act
        for k, stride, expand, of_b0, n in STAGES:
            blocks = []
            for i in range(math.ceil(n * depth)):
                blocks.append(Block(cin, planes(of_b0), k, 1 if i else stride, expand, act, tf))
                cin = planes(of_b0)
            stages.append(nn.Sequential(*blocks))
        self.blocks, self.conv_head, self.bn2 = nn.Sequential(*stages), conv(tf, cin, planes(1280), 1), norm(tf, planes(1280))
        self.classifier = nn.Linear(planes(1280), classes)

    def forward(self, x):
        x = self.blocks(self.act(self.bn1(self.conv_stem(x))))
        return self.classifier(self.act(self.bn2(self.conv_head(x))).mean((2, 3)))

    def initialize(self, seed):
        """With actc's own first values."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                w = module.weight
                values = actc_rng.initial_normal(name + ".weight", tuple(w.shape), w.shape[0] // module.groups * w.shape[2] * w.shape[3], seed)
            elif isinstance(module, nn.Linear):
                w = module.weight
                values = actc_rng.initial(name + ".weight", tuple(w.shape), sum(w.shape), seed)
            else:
                continue
            w.data = torch.tensor(np.array(values), dtype=w.dtype)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        return self


def run(name, net, images, labels):
    net = net.double().initialize(SEED)
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
    default = Path(__file__).parent / "fixtures" / "efficientnet_gradients.safetensors"
    rng = np.random.default_rng(20261127)
    images = rng.normal(size=(BATCH, CHANNELS, SIDE, SIDE)).astype(np.float32)
    labels = rng.integers(0, CLASSES, BATCH)
    tensors = {"images": images, "labels": labels}
    tensors.update(run("efficientnet", EfficientNet(0.05, 0.5, F.silu), images, labels))
    tensors.update(run("efficientnet relu", EfficientNet(0.05, 0.25, F.relu), images, labels))
    tensors.update(run("efficientnet tf", EfficientNet(0.05, 0.25, F.silu, True), images, labels))
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
