"""The random numbers of actc, written anew from the papers and the comments of src/exact/exact.h, for oracles."""
import numpy as np


def fnv1a(text):
    h = 2166136261
    for byte in text.encode():
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    return h


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011). counter: four arrays of uint64 holding 32-bit words; key: two ints."""
    c = [np.asarray(w, dtype=np.uint64) for w in counter]
    k0, k1 = key
    mask = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            p1 & mask,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            p0 & mask,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def random_bits(n, path, step, seed):
    """One 32-bit number for each element 0..n-1. path: a 32-bit hash; step, seed: 64 bits."""
    i = np.arange(n, dtype=np.uint64)
    ones = np.ones_like(i)
    words = philox(
        [i >> np.uint64(2), ones * np.uint64(path), ones * np.uint64(step & 0xFFFFFFFF), ones * np.uint64(step >> 32)],
        (seed & 0xFFFFFFFF, seed >> 32),
    )
    return np.choose((i & np.uint64(3)).astype(int), words).astype(np.uint32)


def first_uniform(name, shape, seed):
    return (random_bits(int(np.prod(shape)), fnv1a(name), 0x80000000 << 32, seed) >> 8).astype(np.float32) * np.float32(2**-24)


def initial(name, shape, fan_in, seed):
    """First values of a parameter: U(-b, b), b = 1/sqrt(fan_in), in f32 arithmetic."""
    u = first_uniform(name, shape, seed)
    return ((u + u - np.float32(1)) * np.float32(1 / np.sqrt(fan_in))).reshape(shape)


def initial_normal(name, shape, fan, seed):
    """First values of a parameter: N(0, 2/fan), by Marsaglia's polar method; actc's f32 gives them within some ulp."""
    n = int(np.prod(shape))
    i, one, path = np.arange(n, dtype=np.uint64), np.ones(n, dtype=np.uint64), np.uint64(fnv1a(name))
    values, wanted = np.zeros(n), np.ones(n, dtype=bool)
    for draw in range(1, 100):
        words = philox([i, one * path, one * np.uint64(draw), one * np.uint64(0x80000000)], (seed & 0xFFFFFFFF, seed >> 32))
        u, v = ((w >> np.uint64(8)).astype(np.float64) * 2.0**-23 - 1 for w in words[:2])
        s = u * u + v * v
        taken = wanted & (s > 0) & (s < 1)
        values[taken] = u[taken] * np.sqrt(-2 * np.log(s[taken]) / s[taken])
        wanted &= ~taken
    assert not wanted.any()
    return (values * np.sqrt(2 / fan)).astype(np.float32).reshape(shape)


def dropout_mask(path, shape, p, step, seed, channels=False):
    """What dropout multiplies with: 0 or 1/(1-p). channels: one draw a channel of a sample (N,C,H,W)."""
    drawn = shape[:2] if channels else shape
    keep = random_bits(int(np.prod(drawn)), fnv1a(path), step, seed) < np.uint32(int((1 - p) * 2**32))
    mask = keep.reshape(drawn) * np.float32(1 / (1 - p))
    return np.broadcast_to(mask[:, :, None, None], shape) if channels else mask


def attention_mask(path, batch, heads, queries, keys, p, step, seed):
    """What dropout multiplies the softmax matrices (batch, heads, queries, keys) with: counters by query and quad of keys, a key by
    matrix (src/exact/attention.h)."""
    quads = (keys + 3) // 4
    matrix, i, quad = np.meshgrid(np.arange(batch * heads, dtype=np.uint64), np.arange(queries, dtype=np.uint64),
                                  np.arange(quads, dtype=np.uint64), indexing="ij")
    word = np.uint64(0xFFFFFFFF)
    of_matrix = (np.uint64(fnv1a(path)) + np.uint64(0x85EBCA6B) * (matrix + np.uint64(1))) & word
    ones = np.ones_like(matrix)
    words = philox([(i * np.uint64(quads) + quad) & word, of_matrix, ones * np.uint64(step & 0xFFFFFFFF), ones * np.uint64(step >> 32)],
                   (seed & 0xFFFFFFFF, seed >> 32))
    bits = np.stack(words, -1).reshape(batch, heads, queries, 4 * quads)[..., :keys]
    return (bits < np.uint64(int((1 - p) * 2**32))) * np.float32(1 / (1 - p))
