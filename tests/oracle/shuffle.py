#!/usr/bin/env python3
"""The order of an epoch's samples, written from its description and independently of src/data/shuffle.c.

Prints the rows that tests/unit/test_loader.c compares with: the first eight samples and a checksum (FNV-1a over
the little-endian 32-bit numbers) of several epochs. Needs nothing but Python.
"""
M = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & M, (a >> 32) ^ c[3] ^ k[1], a & M]
        k = [(k[0] + 0x9E3779B9) & M, (k[1] + 0xBB67AE85) & M]
    return c


def fnv(data):
    h = 2166136261
    for byte in data:
        h = ((h ^ byte) * 16777619) & M
    return h


def draws(seed, epoch):
    path, block = fnv(b"data/shuffle"), 0
    while True:
        yield from philox((block, path, epoch & M, epoch >> 32), (seed & M, seed >> 32))
        block += 1


def order(n, seed, epoch):
    source, out = draws(seed, epoch), list(range(n))
    for i in range(n - 1, 0, -1):
        bound = i + 1
        product = next(source) * bound
        while (product & M) < 2**32 % bound:
            product = next(source) * bound
        j = product >> 32
        out[i], out[j] = out[j], out[i]
    return out


# Known answers of Philox4x32-10 (Random123's kat_vectors).
assert philox((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox((M,) * 4, (M, M)) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]

for n, seed, epoch in [(60000, 1, 0), (60000, 1, 1), (1000, 0x123456789ABCDEF0, 0x100000002), (2, 7, 3), (1, 0, 0)]:
    o = order(n, seed, epoch)
    assert sorted(o) == list(range(n))
    sum_ = fnv(b"".join(v.to_bytes(4, "little") for v in o))
    print(f"{{{n}, {seed:#x}, {epoch:#x}, {{{', '.join(map(str, o[:8]))}}}, 0x{sum_:08x}}},")
