#!/usr/bin/env python3
"""The fast mode on every device that is here against the CPU's: Adam with seed 1.

  test_losses.py ACTC-TRAIN ACTC-INFO [--cuda-host ACTC-TRAIN-CUDA-HOST] [--drivers ICD[:ICD]] [--only NAME[,NAME]] [--full]

Every step's loss is within 1e-4 of the CPU's, relative, and within 1e-3 with compression; the forward pass is untouched by
it: the first loss is the same number; a step has at most two submissions. 20 steps with batches of 128; without --full 8 of
16 on slow devices. Exit status: 0, 1 where something does not hold, 77 where something could not be run.
"""
import os
import sys
import tempfile
import time

import devices

BOUNDS = {"none": 1e-4, "dct:lambda=10": 1e-3}
SLOW = {"vulkan:swiftshader", "cuda-host"}


def compare(target, reference, folder, steps, batch):
    """Lines about what does not hold."""
    wrong, first = [], {}
    options = ["--steps", str(steps), "--log-every", "1", "--batch", str(batch)]
    for codec, bound in BOUNDS.items():
        expected = reference.train(folder, codec, options)["loss"]
        start = time.time()
        report = target.train(folder, codec, options)
        losses, segments = report["loss"], report["segments_per_step"]
        worst = max(abs(a - b) / abs(b) for a, b in zip(losses, expected))
        first[codec] = losses[0]
        print(f"{target.name:20} {codec:14} {steps} steps of {batch}: losses within {worst:.1e} of {reference.name}, "
              f"{segments} segments a step, {report['images_per_s']:.0f} images/s, {time.time() - start:.1f} s", flush=True)
        if len(losses) != steps or len(expected) != steps:
            wrong.append(f"{len(losses)} and {len(expected)} losses, not {steps}")
        if not worst <= bound:
            wrong.append(f"{codec}: losses differ by {worst:.1e}, more than {bound}: {losses}, {expected}")
        if segments > 2:
            wrong.append(f"{codec}: {segments} segments a step")
    if len(set(first.values())) != 1:
        wrong.append(f"the first loss depends on compression: {first}")
    return [f"{target.name}: {line}" for line in wrong]


def main():
    options = devices.parse(__doc__)
    if not os.path.isdir(devices.DATA):
        print(f"{devices.DATA} is not here (Debian: dataset-fashion-mnist)")
        return 77
    found, missing = devices.targets(options)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        devices.write_part(devices.DATA, folder, "train", 20 * 128)
        devices.write_part(devices.DATA, folder, "t10k", 16)
        for target in found[1:]:
            steps, batch = (8, 16) if target.name in SLOW and not options.full else (20, 128)
            wrong += compare(target, found[0], folder, steps, batch)
    for line in [f"not run: {line}" for line in missing] + wrong:
        print(line)
    return 1 if wrong else 77 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
