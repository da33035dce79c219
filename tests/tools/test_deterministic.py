#!/usr/bin/env python3
"""Trains MnistNet with --deterministic on every device that is here, with and without compression, and compares the final
model.safetensors byte for byte.

  test_deterministic.py ACTC-TRAIN ACTC-INFO [--cuda-host ACTC-TRAIN-CUDA-HOST] [--drivers ICD[:ICD]] [--only NAME] [--full]

Needs Python 3 and Fashion-MNIST (Debian: dataset-fashion-mnist). NAME: cpu, baseline, avx2, avx512, vulkan:llvmpipe,
vulkan:swiftshader, cuda-host, or a GPU as in cuda:0, vulkan:nvidia; each is compared with one thread of the CPU. Without --full
a few steps with small batches on a part of the data, as CI does; with it 50 steps with batches of 128 on all training images.
Exit status: 0 all the same, 1 not, 77 all the same but not everything could be run.
"""
import hashlib
import os
import sys
import tempfile
import time

import devices

CODECS = ["none", "dct:lambda=10", "threshold:lambda=100", "wavelet:lambda=100"]


def main():
    options = devices.parse(__doc__)
    if not os.path.isdir(devices.DATA):
        print(f"{devices.DATA} is not here (Debian: dataset-fashion-mnist)")
        return 77
    found, missing = devices.targets(options)
    steps = ["--deterministic"] + (["--steps", "50"] if options.full else ["--steps", "4", "--batch", "16"])
    differences = 0
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        os.mkdir(data)
        devices.write_part(devices.DATA, data, "train", None if options.full else 64)
        devices.write_part(devices.DATA, data, "t10k", 128 if options.full else 16)
        for codec in CODECS:
            first = None
            for number, target in enumerate(found):
                start = time.time()
                out = os.path.join(folder, f"{codec}-{number}")
                report = target.train(data, codec, steps, out)
                with open(os.path.join(out, "model.safetensors"), "rb") as file:
                    model = hashlib.sha256(file.read()).hexdigest()
                first = first or model
                same = model == first
                differences += not same
                print(f"{codec:22} {target.name:20} {model[:16]} {'' if same else 'DIFFERS '}{report['steps']} steps, "
                      f"{report['images_per_s']:.0f} images/s, {time.time() - start:.1f} s", flush=True)
    for line in missing:
        print(f"not run: {line}")
    if differences:
        print(f"{differences} models differ from that of {found[0].name}")
        return 1
    print(f"one file a codec from all of: {', '.join(target.name for target in found)}")
    return 77 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
