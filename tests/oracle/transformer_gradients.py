#!/usr/bin/env python3
"""Makes fixtures/transformer_gradients.safetensors: gradients of small vision transformers in PyTorch float64.

  python3 transformer_gradients.py [OUTPUT]        needs torch, numpy

One training step and one evaluation after it of the same four inputs, as 3x24x24 images and as 3x4x12x12 volumes, without dropout:
"vit" classifies the class token of patches of 8x8, "vit3d" the mean of all tokens, patches of 2x4x4, before its last norm, "vit mean"
the mean after it; "cvt" has three stages and running statistics. Parameters come from actc's own generator (actc_rng.py).
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

SEED, BATCH, CLASSES = 11, 4, 7
IMAGE, VOLUME = (3, 24, 24), (3, 4, 12, 12)


def heads_apart(x, heads):
    """(B,T,heads*d) -> (B,heads,T,d)"""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def attend(q, k, v, heads):
    q, k, v = (heads_apart(x, heads) for x in (q, k, v))
    weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), 3)
    return (weights @ v).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    def __init__(self, dim, heads, head_dim):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * heads * head_dim, bias=False), nn.Linear(heads * head_dim, dim)

    def forward(self, x):
        return self.proj(attend(*self.qkv(x).chunk(3, 2), self.heads))


class Mlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, heads, head_dim, hidden):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim), Attention(dim, heads, head_dim)
        self.norm2, self.mlp = nn.LayerNorm(dim), Mlp(dim, hidden)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, sample, patch, dim, depth, heads, head_dim, hidden, pool):
        super().__init__()
        self.patch, self.pool = patch, pool
        elements, tokens = sample[0] * math.prod(patch), math.prod(sample[1:]) // math.prod(patch)
        self.patch_embed = nn.Sequential(nn.LayerNorm(elements), nn.Linear(elements, dim), nn.LayerNorm(dim))
        self.cls_token, self.pos_embed = nn.Parameter(torch.zeros(1, 1, dim)), nn.Parameter(torch.zeros(1, tokens + 1, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads, head_dim, hidden) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, CLASSES)

    def tokens(self, x):
        """Patches in row-major order, each with its channels last."""
        axes = len(self.patch)
        for i, p in enumerate(self.patch):
            x = x.unflatten(2 + 2 * i, (-1, p))
        x = x.permute(0, *range(2, 2 + 2 * axes, 2), *range(3, 3 + 2 * axes, 2), 1)
        return x.flatten(1, axes).flatten(2)

    def forward(self, x):
        x = self.patch_embed(self.tokens(x))
        x = self.blocks(torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed)
        if self.pool == "cls":
            return self.head(self.norm(x)[:, 0])
        return self.head(self.norm(x).mean(1) if self.pool == "mean of norms" else self.norm(x.mean(1)))


class ChannelNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(1, channels, 1, 1)), nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = ((x - mean) ** 2).mean(1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias


class ConvolutionalBlock(nn.Module):
    def __init__(self, dim, heads, head_dim):
        super().__init__()

        def projection(stride, features):
            return nn.Sequential(nn.Conv2d(dim, dim, 3, stride, 1, groups=dim, bias=False), nn.BatchNorm2d(dim),
                                 nn.Conv2d(dim, features, 1, bias=False))

        inner = heads * head_dim
        self.heads, self.norm1, self.q, self.kv = heads, ChannelNorm(dim), projection(1, inner), projection(2, 2 * inner)
        self.proj, self.norm2 = nn.Conv2d(inner, dim, 1), ChannelNorm(dim)
        self.fc1, self.fc2 = nn.Conv2d(dim, 4 * dim, 1), nn.Conv2d(4 * dim, dim, 1)

    def forward(self, x):
        y = self.norm1(x)
        q, (k, v) = self.q(y), self.kv(y).chunk(2, 1)
        y = attend(*(t.flatten(2).transpose(1, 2) for t in (q, k, v)), self.heads)
        x = x + self.proj(y.transpose(1, 2).unflatten(2, x.shape[2:]))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class CvT(nn.Module):
    def __init__(self, dims, depths, heads, head_dim):
        super().__init__()
        stages, channels = [], 3
        for i, (dim, depth) in enumerate(zip(dims, depths)):
            embed = nn.Conv2d(channels, dim, 3 if i else 7, 2 if i else 4, 1 if i else 3)
            stages.append(nn.Sequential(embed, ChannelNorm(dim), *(ConvolutionalBlock(dim, heads[i], head_dim) for _ in range(depth))))
            channels = dim
        self.stages, self.head = nn.Sequential(*stages), nn.Linear(channels, CLASSES)

    def forward(self, x):
        return self.head(self.stages(x).mean((2, 3)))


NETWORKS = {
    "vit": lambda: ViT(IMAGE, (8, 8), 12, 2, 2, 5, 20, "cls"),
    "vit mean": lambda: ViT(IMAGE, (8, 12), 8, 1, 3, 4, 10, "mean of norms"),
    "vit3d": lambda: ViT(VOLUME, (2, 4, 4), 12, 1, 2, 6, 16, "norm of the mean"),
    "cvt": lambda: CvT((4, 6, 8), (1, 1, 2), (1, 2, 3), 4),
}


def fill(net):
    weights = dict(net.named_parameters())
    for name, p in net.named_parameters():
        weight = weights.get(name.rsplit(".", 1)[0] + ".weight")
        if weight is None:
            p.data = torch.tensor(actc_rng.initial_normal(name, tuple(p.shape), 2, SEED), dtype=torch.float64)
        elif weight.dim() > 1 and weight.shape[0] > 1:
            fan_in = math.prod(weight.shape[1:])
            p.data = torch.tensor(np.array(actc_rng.initial(name, tuple(p.shape), fan_in, SEED)), dtype=torch.float64)


def main():
    default = Path(__file__).parent / "fixtures" / "transformer_gradients.safetensors"
    rng = np.random.default_rng(20261128)
    images = rng.normal(size=(BATCH,) + IMAGE).astype(np.float32)
    labels = rng.integers(0, CLASSES, BATCH)
    tensors = {"images": images, "labels": labels}
    y = torch.tensor(labels)
    for name, make in NETWORKS.items():
        x = torch.tensor(images.reshape((BATCH,) + VOLUME) if name == "vit3d" else images, dtype=torch.float64)
        net = make().double()
        fill(net)
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
        tensors.update({f"{name}|{k}": v for k, v in out.items()})
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
