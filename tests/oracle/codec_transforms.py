"""Makes fixtures/codec_transforms.safetensors: transforms of the codecs by scipy.fft and PyWavelets in float64.

usage: codec_transforms.py [FILE]

Inputs are not stored: element i of x (in memory order, channels last) is a random number of actc_rng keyed by the tensor's
name. A transform y is stored as its norm and the projections of y/norm on eight vectors of +-1 (random bits again), so
that every wavelet fits in a small file: a coefficient that is wrong by more than 1e-6 of the norm moves the projections
by as much. "forward SPEC SHAPE": norm, 8 projections. "kept SPEC SHAPE": the indices of the kept coefficients, found by
NumPy's sort, for the published reference's forms.
"""
import sys
from pathlib import Path

import numpy as np
import pywt
import scipy.fft

from actc_rng import fnv1a, random_bits
from fixture_file import write_safetensors

PROJECTIONS = 8


def make_x(name, shape):
    """x as (N,C,H,W) float64, exact in f32."""
    n, c, h, w = shape
    bits = random_bits(n * c * h * w, fnv1a(name), 0, 0)
    x = (bits >> 8).astype(np.float64) * 2.0**-24 - 0.5
    return x.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def blocks(x, size):
    """Coefficients of the dct on blocks, in the payload's order."""
    out = []
    for sample in x:
        for h in range(0, x.shape[2], size):
            for w in range(0, x.shape[3], size):
                for channel in sample:
                    out.append(scipy.fft.dctn(channel[h : h + size, w : w + size], norm="ortho").ravel())
    return np.concatenate(out)


def rows(x, norm):
    y = scipy.fft.dct(x, axis=-1, norm=norm)  # N,C,H,U
    return y.transpose(0, 2, 1, 3).ravel()


def bands(x, wave, mode, levels):
    possible = pywt.dwt_max_level(min(x.shape[2:]), pywt.Wavelet(wave).dec_len)
    parts = pywt.wavedec2(x, wave, {"periodic": "periodization", "symmetric": "symmetric"}[mode], min(levels, possible))
    in_order = [parts[0]] + [band for level in parts[1:] for band in level]
    return np.concatenate([band.transpose(0, 2, 3, 1).ravel() for band in in_order])


def projections(name, y):
    norm = np.linalg.norm(y)
    bits = random_bits(y.size, fnv1a(name), 1, 0)
    signs = [np.where(bits >> j & 1, 1.0, -1.0) for j in range(PROJECTIONS)]
    return np.array([norm] + [np.dot(s, y) / norm for s in signs], dtype=np.float32)


def kept(y, k):
    order = np.lexsort((np.arange(y.size), -np.abs(y)))[:k]
    return np.sort(order).astype(np.float32)


def main():
    tensors = {}

    def add(spec, shape, transform):
        name = "forward %s %s" % (spec, "x".join(map(str, shape)))
        tensors[name] = projections(name, transform(make_x(name, shape)))

    for length in list(range(1, 20)) + [31, 33]:
        shape = (2, 3, length, 37 - length)
        add("dct", shape, lambda x: blocks(x, 16))
        add("dct:block=8", shape, lambda x: blocks(x, 8))
    add("dct", (1, 40, 26, 26), lambda x: blocks(x, 16))
    for shape in [(2, 3, 4, 7), (1, 2, 3, 64), (1, 1, 2, 1000)]:
        add("dct:block=row", shape, lambda x: rows(x, "ortho"))
        add("dct:block=row,norm=none", shape, lambda x: rows(x, None))
    for family in ["haar", "db", "sym", "coif", "bior", "rbio", "dmey"]:
        for wave in pywt.wavelist(family):
            length = pywt.Wavelet(wave).dec_len
            for mode in ["periodic", "symmetric"]:
                spec = "wavelet:wave=%s%s" % (wave, ",mode=symmetric" if mode == "symmetric" else "")
                # sizes that allow two levels, one even and one odd, and one level
                for shape in [(1, 2, 4 * (length - 1), 4 * length + 1), (1, 1, 2 * length - 1, 2 * length + 4)]:
                    add(spec, shape, lambda x: bands(x, wave, mode, 3))
    for levels in [1, 2, 5]:
        add("wavelet:levels=%d" % levels, (2, 3, 48, 80), lambda x: bands(x, "db3", "periodic", levels))

    shape, ratio = (2, 3, 12, 20), 0.9
    name = "kept dct:block=row,norm=none,ratio=0.9 %s" % "x".join(map(str, shape))
    y = rows(make_x(name, shape), None)
    tensors[name] = kept(y, max(1, int(y.size * (1 - ratio))))
    name = "kept wavelet:wave=haar,mode=symmetric,select=band,ratio=0.9 %s" % "x".join(map(str, shape))
    x = make_x(name, shape)
    y = bands(x, "haar", "symmetric", 3)
    sizes, size = [], [shape[2], shape[3]]
    for _ in range(pywt.dwt_max_level(12, 2)):
        size = [(s + 1) // 2 for s in size]
        sizes.insert(0, size[0] * size[1] * shape[0] * shape[1])
    found, begin = [], 0
    for count in [sizes[0]] + [3 * s for s in sizes]:
        found.append(begin + kept(y[begin : begin + count], max(1, int(count * (1 - ratio)))))
        begin += count
    assert begin == y.size
    tensors[name] = np.concatenate(found).astype(np.float32)
    default = Path(__file__).parent / "fixtures" / "codec_transforms.safetensors"
    write_safetensors(sys.argv[1] if len(sys.argv) > 1 else default, tensors)


if __name__ == "__main__":
    main()
