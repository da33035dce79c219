#!/usr/bin/env python3
"""Makes fixtures/mnistnet_gradients.safetensors: MnistNet's gradients in PyTorch float64.

  python3 mnistnet_gradients.py [OUTPUT]        needs torch, numpy, scipy, PyWavelets

Batch 16 of seeded images, parameters and dropout masks from actc's own generator (actc_rng.py), uncompressed, and with the
input of conv2 restored from the reference's forms of compression (Vu et al. 2024), computed here by NumPy, SciPy and
PyWavelets in float64. Compression of conv2's input changes the gradient of conv2.weight and no other.
"""
import sys
from pathlib import Path

import numpy as np
import pywt
import scipy.fft
import torch
import torch.nn.functional as F

import actc_rng
from fixture_file import write_safetensors

SEED, BATCH = 7, 16
SHAPES = {
    "conv1.weight": ((16, 1, 3, 3), 9),
    "conv1.bias": ((16,), 9),
    "conv2.weight": ((8, 16, 3, 3), 144),
    "conv2.bias": ((8,), 144),
    "fc1.weight": ((128, 1152), 1152),
    "fc1.bias": ((128,), 1152),
    "fc2.weight": ((10, 128), 128),
    "fc2.bias": ((10,), 128),
}


def keep_largest(y, k):
    """Zeroes all but the k largest magnitudes; the lowest index wins a tie."""
    flat = y.reshape(-1)
    order = np.lexsort((np.arange(flat.size), -np.abs(flat)))[:k]
    kept = np.zeros_like(flat)
    kept[order] = flat[order]
    return kept.reshape(y.shape)


def threshold(x, ratio):
    # memory order is channels-last; it only matters for ties
    y = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    return keep_largest(y, max(1, int(y.size * (1 - ratio)))).transpose(0, 3, 1, 2)


def dct_rows(x, ratio):
    y = scipy.fft.dct(x, type=2, norm=None, axis=-1)
    return scipy.fft.idct(keep_largest(y, max(1, int(y.size * (1 - ratio)))), type=2, norm=None, axis=-1)


def wavelet_bands(x, ratio):
    levels = min(3, pywt.dwt_max_level(min(x.shape[-2:]), pywt.Wavelet("db3").dec_len))
    ll, *details = pywt.wavedec2(x, "db3", mode="symmetric", level=levels, axes=(-2, -1))
    def keep(bands):
        flat = np.concatenate([b.reshape(-1) for b in bands])
        kept = keep_largest(flat, max(1, int(flat.size * (1 - ratio))))
        ends = np.cumsum([b.size for b in bands])
        return [part.reshape(b.shape) for part, b in zip(np.split(kept, ends[:-1]), bands)]
    coefficients = keep([ll]) + [tuple(keep(d)) for d in details]
    return pywt.waverec2(coefficients, "db3", mode="symmetric", axes=(-2, -1))[..., : x.shape[-2], : x.shape[-1]]


def run(images, labels):
    p = {n: torch.tensor(actc_rng.initial(n, s, f, SEED), dtype=torch.float64, requires_grad=True) for n, (s, f) in SHAPES.items()}
    drop1 = torch.tensor(actc_rng.dropout_mask("drop1", (BATCH, 8, 12, 12), 0.25, 0, SEED, channels=True).copy(), dtype=torch.float64)
    drop2 = torch.tensor(actc_rng.dropout_mask("drop2", (BATCH, 128), 0.5, 0, SEED), dtype=torch.float64)
    x = torch.tensor(images, dtype=torch.float64)
    relu1 = F.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"]))
    conv2 = F.conv2d(relu1, p["conv2.weight"], p["conv2.bias"])
    conv2.retain_grad()
    h = (F.max_pool2d(conv2, 2) * drop1).flatten(1)
    h = F.relu(F.linear(h, p["fc1.weight"], p["fc1.bias"])) * drop2
    loss = F.nll_loss(F.log_softmax(F.linear(h, p["fc2.weight"], p["fc2.bias"]), 1), torch.tensor(labels))
    loss.backward()
    out = {"loss": np.array([loss.item()])}
    out.update({"grad." + n: t.grad.numpy() for n, t in p.items()})
    forms = {
        "threshold:ratio=0.9": threshold,
        "dct:block=row,norm=none,ratio=0.9": dct_rows,
        "wavelet:mode=symmetric,select=band,ratio=0.9": wavelet_bands,
    }
    saved = relu1.detach().numpy()
    for spec, form in forms.items():
        restored = torch.tensor(np.ascontiguousarray(form(saved, 0.9)))
        grad = torch.nn.grad.conv2d_weight(restored, p["conv2.weight"].shape, conv2.grad)
        out[f"{spec}|grad.conv2.weight"] = grad.detach().numpy()
    return out


def main():
    default = Path(__file__).parent / "fixtures" / "mnistnet_gradients.safetensors"
    rng = np.random.default_rng(20240607)
    # smooth blobs, so that pooling windows and coefficients have no ties
    images = scipy.ndimage.gaussian_filter(rng.normal(size=(BATCH, 1, 28, 28)), (0, 0, 1.5, 1.5)).astype(np.float32)
    images /= np.float32(images.std())
    labels = rng.integers(0, 10, BATCH)
    tensors = run(images, labels)
    tensors["images"] = images
    tensors["labels"] = labels
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    import scipy.ndimage

    torch.set_num_threads(1)
    main()
