#!/usr/bin/env python3
"""Weights move between actc and PyTorch, both ways, with nothing left over and the same logits.

  weights_pytorch.py ACTC-TRAIN RESNET_LOGITS        needs torch, numpy; exit status 77 without

A resnet18 of width 8, and a small EfficientNet, as actc-train saves it loads with strict=True into one written in PyTorch here, running
statistics and counters included; then one that PyTorch trained and saved, in F32, F64, F16 and BF16, starts a run of actc-train.
"""
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

try:
    import numpy as np
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import efficientnet_gradients

TRAIN, LOGITS = sys.argv[1:3]
WIDTH, COUNT, CLASSES, STEPS = 8, 6, 10, 7
DTYPES = {"F32": torch.float32, "F64": torch.float64, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


class Block(nn.Module):
    def __init__(self, cin, planes, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, planes, 3, stride, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False), nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or cin != planes:
            self.downsample = nn.Sequential(nn.Conv2d(cin, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, WIDTH, 3, 1, 1, bias=False), nn.BatchNorm2d(WIDTH)
        cin = WIDTH
        for i in range(4):
            planes = WIDTH << i
            setattr(self, f"layer{i + 1}", nn.Sequential(Block(cin, planes, 2 if i else 1), Block(planes, planes, 1)))
            cin = planes
        self.fc = nn.Linear(cin, CLASSES)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(x.mean((2, 3)))


def load(path):
    """The format by its description, as the safetensors package reads it."""
    raw = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header, data, tensors = json.loads(raw[8:8 + length]), bytearray(raw[8 + length:]), {}
    header.pop("__metadata__", None)
    for name, t in header.items():
        begin, end = t["data_offsets"]
        dtype = DTYPES[t["dtype"]]
        assert begin % dtype.itemsize == 0, f"{name} is not aligned"
        tensors[name] = torch.frombuffer(data[begin:end], dtype=dtype).reshape(t["shape"])
    return tensors


def save(path, tensors):
    header, blobs, offset = {}, [], 0
    for name, t in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        blob = t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": next(k for k, v in DTYPES.items() if v == t.dtype), "shape": list(t.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def ours(folder, net, weights, images):
    images.numpy().tofile(folder / "images")
    subprocess.run([LOGITS, net.name, weights, folder / "images", folder / "logits", str(COUNT), str(net.side), str(net.width), str(CLASSES)],
                   check=True)
    return torch.from_numpy(np.fromfile(folder / "logits", dtype=np.float32).reshape(COUNT, CLASSES))


def same(a, b, what):
    error = ((a - b).abs().max() / b.abs().max()).item()
    print(f"{what}: logits differ by {error:.2g}")
    assert error <= 1e-4, what


def logits_of(net, images):
    net.eval()
    with torch.no_grad():
        return net(images)


def resnet18():
    return ResNet18()


def efficientnet():
    return efficientnet_gradients.EfficientNet(0.05, 0.25, F.silu, channels=3, classes=CLASSES)


# options: of actc-train; width: of resnet_logits; normed: a state that training moves, of which there is one in each
NETS = [SimpleNamespace(name="resnet18", make=resnet18, side=16, width=WIDTH, options=f"width={WIDTH}", normed="layer3.0.downsample.1"),
        SimpleNamespace(name="efficientnet_b0", make=efficientnet, side=32, width=5, options="width=5,depth=25", normed="blocks.1.0.bn3")]


def both_ways(of, folder):
    network = [of.name, "--data", "synthetic", "--size", f"{of.side},{of.side}", "--classes", str(CLASSES), "--net-option", of.options,
               "--device", "cpu", "--limit", "32", "--batch", "8"]
    images = torch.randn(COUNT, 3, of.side, of.side)
    subprocess.run([TRAIN] + network + ["--steps", str(STEPS), "--out", folder / "run"], check=True, stdout=subprocess.DEVNULL)
    saved = folder / "run" / "model.safetensors"
    net = of.make()
    fresh = logits_of(net, images)
    net.load_state_dict(load(saved), strict=True)
    assert net.bn1.num_batches_tracked.item() == STEPS and net.bn1.num_batches_tracked.dtype == torch.int64
    assert (net.get_buffer(of.normed + ".running_mean") != 0).any(), "no running statistics"
    loaded = logits_of(net, images)
    assert (loaded - fresh).abs().max() > 1e-2
    same(ours(folder, of, saved, images), loaded, f"{of.name}, actc to PyTorch")

    net = of.make().train()
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    for _ in range(4):
        optimizer.zero_grad()
        F.cross_entropy(net(torch.randn(8, 3, of.side, of.side) * 2 + 1), torch.randint(0, CLASSES, (8,))).backward()
        optimizer.step()
    for dtype in ("F32", "F64", "F16", "BF16"):
        rounded = {k: v.to(DTYPES[dtype]) if v.is_floating_point() else v for k, v in net.state_dict().items()}
        save(folder / dtype, rounded)
        net.load_state_dict(rounded, strict=True)
        same(ours(folder, of, folder / dtype, images), logits_of(net, images), f"{of.name}, PyTorch's {dtype} to actc")
    # a run that changes nothing keeps all parameters of the file it starts from
    subprocess.run([TRAIN] + network + ["--weights", folder / "F64", "--lr", "0", "--steps", "1", "--optim", "sgd", "--out",
                                       folder / "next"], check=True, stdout=subprocess.DEVNULL)
    start, kept = load(folder / "F64"), load(folder / "next" / "model.safetensors")
    for key, value in start.items():
        if "running" not in key and "tracked" not in key:
            assert torch.equal(value.float(), kept[key]), key
    assert not torch.equal(start["bn1.running_mean"].float(), kept["bn1.running_mean"])


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    for of in NETS:
        with tempfile.TemporaryDirectory() as name:
            both_ways(of, Path(name))


if __name__ == "__main__":
    main()
