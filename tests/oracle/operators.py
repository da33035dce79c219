#!/usr/bin/env python3
"""Makes fixtures/operators.safetensors: a network of every operator, and every optimiser, in PyTorch float64.

  python3 operators.py [OUTPUT]        needs torch, numpy, scipy, PyWavelets

Convolutions with unequal kernels, strides, padding and dilation, with and without bias; max-pooling that overlaps and is
padded; a residual sum; linear layers that share a weight; dropout with the masks of actc's generator (actc_rng.py); losses
by cross-entropy and by log-softmax and NLL, with labels that are ignored. tests/unit/test_operators.c builds the same
network.
"grad.NAME": of the first step; "OPTIMISER|NAME": the parameter's change over STEPS steps; "OPTIMISER|losses".

And a network of sequences over the same images: padded, pixel shuffle, patchify, layer norm with and without weights, softmax, permute,
slice, reshape. "sequence.loss", "sequence.NAME": a layer norm's weights, which begin as ones and zeros else; "sequence|grad.NAME".

And one of means: average pooling of maps and volumes with overlap and padding, which counts or does not; adaptive pooling to sizes
that do not divide, and to more than there are. "pooling.loss", "pooling|grad.NAME".

And one of attention: causal self attention of two heads (scaled_dot_product_attention), and three heads of queries among other keys,
with dropout and a scale. "attention.loss", "attention|grad.NAME".
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH, STEPS, RATE = 21, 6, 4, 0.02
SHAPES = {
    "conv1.weight": ((6, 3, 3, 2), 18),
    "conv1.bias": ((6,), 18),
    "conv2.weight": ((6, 6, 3, 3), 54),
    "block.fc1.weight": ((12, 150), 150),
    "block.fc1.bias": ((12,), 150),
    "shared.weight": ((12, 12), 12),
    "tied1.bias": ((12,), 12),
    "fc2.weight": ((5, 12), 12),
    "fc2.bias": ((5,), 12),
}
SEQUENCE_SHAPES = {
    "stem.weight": ((8, 3, 3, 3), 27),
    "stem.bias": ((8,), 27),
    "norm1.weight": ((40,), 1),
    "norm1.bias": ((40,), 1),
    "mix.weight": ((4, 3, 3, 3), 27),
    "mix.bias": ((4,), 27),
    "head.weight": ((5, 128), 128),
    "head.bias": ((5,), 128),
}
POOLING_SHAPES = {
    "stem.weight": ((8, 3, 3, 3), 27),
    "stem.bias": ((8,), 27),
    "mix.weight": ((4, 2, 2, 2, 2), 16),
    "mix.bias": ((4,), 16),
    "head.weight": ((5, 52), 52),
    "head.bias": ((5,), 52),
}
ATTENTION_SHAPES = {
    "stem.weight": ((60, 3, 3, 3), 27),
    "stem.bias": ((60,), 27),
    "head.weight": ((5, 204), 204),
    "head.bias": ((5,), 204),
}
OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=RATE, weight_decay=0.01, eps=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.1, eps=1e-3),
}


def start(shapes=SHAPES):
    return {name: torch.tensor(actc_rng.initial(name, shape, fan_in, SEED), dtype=torch.float64, requires_grad=True)
            for name, (shape, fan_in) in shapes.items()}


def mask(path, shape, p, step):
    return torch.tensor(actc_rng.dropout_mask(path, shape, p, step, SEED).copy(), dtype=torch.float64)


def loss_of(p, images, labels, step, nll):
    x = F.relu(F.conv2d(images, p["conv1.weight"], p["conv1.bias"], stride=(2, 1), padding=(1, 1), dilation=(1, 2)))
    pooled = F.max_pool2d(x, (3, 2), stride=(1, 2), padding=(1, 1))
    x = F.relu(F.conv2d(pooled, p["conv2.weight"], None, padding=1) + pooled).flatten(1)
    x = F.linear(x, p["block.fc1.weight"], p["block.fc1.bias"])
    x = x * mask("block/drop", tuple(x.shape), 0.3, step)
    x = F.linear(F.relu(F.linear(x, p["shared.weight"], p["tied1.bias"])), p["shared.weight"])
    x = F.linear(x, p["fc2.weight"], p["fc2.bias"])
    if nll:
        return F.nll_loss(F.log_softmax(x, 1), labels, ignore_index=-1)
    return F.cross_entropy(x, labels, ignore_index=-1)


def patchify(x, p1, p2):
    """einops' "b c (h p1) (w p2) -> b (h w) (p1 p2 c)"."""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // p1, p1, w // p2, p2).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(b, h // p1 * (w // p2), p1 * p2 * c)


def sequence_loss(p, images, labels):
    x = F.conv2d(F.pad(images, (0, 0, 0, 1), value=0.5), p["stem.weight"], p["stem.bias"], padding=1)  # 8,10,8
    x = patchify(F.pixel_shuffle(x, 2), 5, 4)  # 2,20,16; 16 patches of 40
    x = F.layer_norm(x, (40,), p["norm1.weight"], p["norm1.bias"])
    x = torch.softmax(x, 2).permute(0, 2, 1)[:, 3:33]  # 30,16
    x = F.layer_norm(x, (16,), eps=1e-4).reshape(-1, 3, 10, 16)
    x = torch.softmax(F.conv2d(x, p["mix.weight"], p["mix.bias"]), 1)  # 4,8,14
    x = x[:, :, :, 2:10].permute(0, 3, 1, 2).reshape(-1, 16, 16)[:, 8:]
    return F.cross_entropy(F.linear(x.flatten(1), p["head.weight"], p["head.bias"]), labels, ignore_index=-1)


def pooling_loss(p, images, labels):
    x = F.conv2d(images, p["stem.weight"], p["stem.bias"], padding=1)  # 8,9,8
    x = F.relu(F.avg_pool2d(x, (3, 2), (2, 1), (1, 1)))  # 8,5,9
    x = F.avg_pool2d(x, (2, 3), (1, 2), (1, 1), count_include_pad=False)  # 8,6,5
    x = F.adaptive_avg_pool2d(x, (4, 7)).reshape(-1, 2, 4, 4, 7)
    x = F.conv3d(x, p["mix.weight"], p["mix.bias"], padding=1)  # 4,5,5,8
    x = F.relu(F.avg_pool3d(x, (2, 3, 2), (1, 2, 2), (1, 1, 1), count_include_pad=False))  # 4,6,3,5
    x = F.avg_pool3d(x, (3, 2, 2), (2, 1, 2), (1, 0, 1))  # 4,3,2,3
    x = torch.cat([F.adaptive_avg_pool3d(x, size).flatten(1) for size in ((2, 3, 2), (1, 1, 1))], 1)
    return F.cross_entropy(F.linear(x, p["head.weight"], p["head.bias"]), labels, ignore_index=-1)


def heads_of(x, heads):
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def attention_loss(p, images, labels):
    x = F.conv2d(images, p["stem.weight"], p["stem.bias"], padding=1).flatten(2).transpose(1, 2)  # 72 tokens of 60
    q, k, v = (heads_of(t, 2) for t in x[:, :, :36].split(12, 2))
    x1 = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)  # 72 of 12
    q, k, v = (heads_of(t, 3) for t in (x1[:, 31:48], x[:, :, 36:48], x[:, :, 48:60]))
    keep = torch.tensor(actc_rng.attention_mask("cross", BATCH, 3, 17, 72, 0.25, 0, SEED), dtype=torch.float64)
    x2 = (torch.softmax(0.7 * q @ k.transpose(2, 3), 3) * keep @ v).transpose(1, 2).flatten(1)
    return F.cross_entropy(F.linear(x2, p["head.weight"], p["head.bias"]), labels, ignore_index=-1)


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(20261126)
    images = rng.normal(size=(BATCH, 3, 9, 8)).astype(np.float32)
    labels = np.array([3, -1, 0, 4, 4, -1])
    x, y = torch.tensor(images, dtype=torch.float64), torch.tensor(labels)
    tensors = {"images": images, "labels": labels}
    p = start()
    loss = loss_of(p, x, y, 0, False)
    loss.backward()
    tensors["loss"] = np.array([loss.item()])
    assert abs(loss.item() - loss_of(p, x, y, 0, True).item()) < 1e-12
    for name, t in p.items():
        tensors["grad." + name] = t.grad.numpy()
    p = start(SEQUENCE_SHAPES)
    loss = sequence_loss(p, x, y)
    loss.backward()
    tensors["sequence.loss"] = np.array([loss.item()])
    for name, t in p.items():
        tensors["sequence|grad." + name] = t.grad.numpy()
        if name.startswith("norm1."):
            tensors["sequence." + name] = t.detach().numpy()
    p = start(POOLING_SHAPES)
    loss = pooling_loss(p, x, y)
    loss.backward()
    tensors["pooling.loss"] = np.array([loss.item()])
    for name, t in p.items():
        tensors["pooling|grad." + name] = t.grad.numpy()
    p = start(ATTENTION_SHAPES)
    loss = attention_loss(p, x, y)
    loss.backward()
    tensors["attention.loss"] = np.array([loss.item()])
    for name, t in p.items():
        tensors["attention|grad." + name] = t.grad.numpy()
    for name, make in OPTIMISERS.items():
        p, losses = start(), []
        before = {n: t.detach().clone() for n, t in p.items()}
        optimiser = make(p.values())
        for step in range(STEPS):
            optimiser.zero_grad()
            loss = loss_of(p, x, y, step, True)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        tensors[name + "|losses"] = np.array(losses)
        for n, t in p.items():
            tensors[name + "|" + n] = (t.detach() - before[n]).numpy()
    default = Path(__file__).parent / "fixtures" / "operators.safetensors"
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    main()
