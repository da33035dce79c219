#!/usr/bin/env python3
"""Makes fixtures/parity_step.safetensors: what actc-parity --oracle reads, one training step of a small ResNet18 in float64.

  python3 parity_step.py [OUTPUT]        needs torch, numpy

resnet18 with 2 planes (--net-option width=2), 16x16 images in a batch of 4 and 5 classes. Parameters come from actc's own
generator (actc_rng.py); float32 values widened, so that a float32 program reads them exactly.
"""
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import actc_rng
import resnet_gradients
from fixture_file import write_safetensors

SEED, BATCH, SIDE, WIDTH, CLASSES = 5, 4, 16, 2, 5
# A stated figure, of the size that float32 has here: PyTorch's own would depend on the machine that makes the file.
FLOAT32_ERROR = "2e-06"


def main():
    default = Path(__file__).parent / "fixtures" / "parity_step.safetensors"
    rng = np.random.default_rng(20261127)
    resnet_gradients.WIDTH, resnet_gradients.CLASSES = WIDTH, CLASSES
    net = resnet_gradients.ResNet((2, 2, 2, 2), False, 64).double()
    for n, p in net.named_parameters():
        if "bn" not in n and "downsample.1" not in n:
            fan_in = net.fc.in_features if n.startswith("fc") else int(np.prod(p.shape[1:]))
            p.data = torch.tensor(np.array(actc_rng.initial(n, tuple(p.shape), fan_in, SEED)), dtype=torch.float64)
    x = torch.tensor(rng.normal(size=(BATCH, 3, SIDE, SIDE)).astype(np.float32), dtype=torch.float64)
    y = torch.tensor(rng.integers(0, CLASSES, BATCH))
    out = {"param." + n: p.detach().clone() for n, p in net.named_parameters()}
    out.update({"buffer." + n: b.clone() for n, b in net.named_buffers()})
    logits = net(x)
    loss = F.cross_entropy(logits, y)
    loss.backward()
    out.update({"input": x, "label": y, "output": logits.detach(), "loss": loss.detach()})
    out.update({"grad." + n: p.grad for n, p in net.named_parameters()})
    out.update({"buffer_after." + n: b for n, b in net.named_buffers()})
    metadata = {"net": "resnet18", "batch": str(BATCH), "size": f"{SIDE}x{SIDE}", "loss_kind": "ce",
                "pytorch_f32_gradient_relative_l2": FLOAT32_ERROR}
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, {n: t.numpy() for n, t in out.items()}, metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
