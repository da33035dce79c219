#!/usr/bin/env python3
"""Weights move between actc and PyTorch, both ways, with nothing left over and the same outputs.

  weights_pytorch.py ACTC-TRAIN NETWORK_OUTPUTS        needs torch, numpy; exit status 77 without

A resnet18 of width 8 as actc-train saves it loads with strict=True into one written in PyTorch here, running statistics and
counters included; then one that PyTorch trained and saved, in F32, F64, F16 and BF16, starts a run of actc-train. Small networks of
other families, as the scripts beside this one have them, go both ways once.
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

import deeplab_gradients
import edsr_gradients
import efficientnet_gradients
import transformer_gradients

TRAIN, OUTPUTS = sys.argv[1:3]
WIDTH, SIDE, COUNT, CLASSES, STEPS = 8, 16, 6, 10, 7
NETWORK = ["resnet18", "--data", "synthetic", "--size", f"{SIDE},{SIDE}", "--classes", str(CLASSES), "--net-option", f"width={WIDTH}",
           "--device", "cpu", "--limit", "32", "--batch", "8"]
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


def ours(folder, weights, images, shape, *network):
    images.numpy().tofile(folder / "images")
    subprocess.run([OUTPUTS, weights, folder / "images", folder / "outputs", str(len(images)), str(images.shape[2])] +
                   [str(n) for n in network], check=True)
    return torch.from_numpy(np.fromfile(folder / "outputs", dtype=np.float32).reshape(shape))


def same(a, b, what):
    error = ((a - b).abs().max() / b.abs().max()).item()
    print(f"{what}: outputs differ by {error:.2g}")
    assert error <= 1e-4, what


def logits_of(net, images):
    net.eval()
    with torch.no_grad():
        return net(images)


def another(folder, name, net, side, options, numbers, data):
    """Trained by actc-train into `net`; then trained there, and back. data: a batch of images and their loss."""
    run = [TRAIN, name, "--data", "synthetic", "--size", f"{side},{side}", "--device", "cpu", "--limit", "16", "--batch", "8"] + options
    subprocess.run(run + ["--steps", "2", "--out", folder / name], check=True, stdout=subprocess.DEVNULL)
    saved = folder / name / "model.safetensors"
    net.load_state_dict(load(saved), strict=True)
    images, loss = data(8)
    outputs = logits_of(net, images)
    same(ours(folder, saved, images, outputs.shape, name, *numbers), outputs, f"{name} to PyTorch")
    net.train()
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        images, loss = data(8)
        loss(net(images)).backward()
        optimizer.step()
    save(folder / "weights", net.state_dict())
    outputs = logits_of(net, images)
    same(ours(folder, folder / "weights", images, outputs.shape, name, *numbers), outputs, f"{name} to actc")


def others(folder):
    def large(count):
        target = torch.rand(count, 3, 18, 18) * 255
        return torch.rand(count, 3, 6, 6) * 255, lambda y: F.l1_loss(y, target)

    def labelled(count):
        labels = torch.randint(0, 5, (count, 33, 33))
        return torch.randn(count, 3, 33, 33), lambda y: F.cross_entropy(y, labels)

    def classified(count, side=32, classes=CLASSES):
        labels = torch.randint(0, classes, (count,))
        return torch.randn(count, 3, side, side), lambda y: F.cross_entropy(y, labels)

    def tokens(count):
        return classified(count, 24, 7)

    another(folder, "efficientnet_b0", efficientnet_gradients.EfficientNet(0.05, 0.25, F.silu, channels=3, classes=CLASSES), 32,
            ["--classes", str(CLASSES), "--net-option", "width=5,depth=25"], (5, CLASSES), classified)
    another(folder, "edsr", edsr_gradients.EDSR(3, 2), 6, ["--net-option", "features=4,blocks=2,scale=3"], (4, 2, 3), large)
    another(folder, "deeplabv3plus", deeplab_gradients.DeepLab(), 33, ["--classes", "5", "--net-option", "width=10,features=4"],
            (10, 4, 5), labelled)
    another(folder, "vit", transformer_gradients.NETWORKS["vit"](), 24,
            ["--classes", "7", "--net-option", "patch=8,dim=12,depth=2,heads=2,head_dim=5,mlp=20,dropout=0"], (8, 12, 7), tokens)
    another(folder, "cvt", transformer_gradients.CvT((4, 12, 24), (1, 1, 2), (1, 3, 6), 4), 24,
            ["--classes", "7", "--net-option", "width=4,depth1=1,depth2=1,depth3=2,head_dim=4"], (4, 7), tokens)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    images, resnet = torch.randn(COUNT, 3, SIDE, SIDE), ("resnet18", WIDTH, CLASSES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([TRAIN] + NETWORK + ["--steps", str(STEPS), "--out", folder / "run"], check=True, stdout=subprocess.DEVNULL)
        saved = folder / "run" / "model.safetensors"
        net = ResNet18()
        fresh = logits_of(net, images)
        net.load_state_dict(load(saved), strict=True)
        assert net.bn1.num_batches_tracked.item() == STEPS and net.bn1.num_batches_tracked.dtype == torch.int64
        assert (net.layer3[0].downsample[1].running_mean != 0).any(), "no running statistics"
        loaded = logits_of(net, images)
        assert (loaded - fresh).abs().max() > 1e-2
        same(ours(folder, saved, images, loaded.shape, *resnet), loaded, "actc to PyTorch")

        net = ResNet18().train()
        optimizer = torch.optim.SGD(net.parameters(), 0.05)
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(net(torch.randn(8, 3, SIDE, SIDE) * 2 + 1), torch.randint(0, CLASSES, (8,))).backward()
            optimizer.step()
        for dtype in ("F32", "F64", "F16", "BF16"):
            rounded = {k: v.to(DTYPES[dtype]) if v.is_floating_point() else v for k, v in net.state_dict().items()}
            save(folder / dtype, rounded)
            net.load_state_dict(rounded, strict=True)
            same(ours(folder, folder / dtype, images, loaded.shape, *resnet), logits_of(net, images), f"PyTorch's {dtype} to actc")
        # a run that changes nothing keeps all parameters of the file it starts from
        subprocess.run([TRAIN] + NETWORK + ["--weights", folder / "F64", "--lr", "0", "--steps", "1", "--optim", "sgd", "--out",
                                           folder / "next"], check=True, stdout=subprocess.DEVNULL)
        start, kept = load(folder / "F64"), load(folder / "next" / "model.safetensors")
        for key, value in start.items():
            if "running" not in key and "tracked" not in key:
                assert torch.equal(value.float(), kept[key]), key
        assert not torch.equal(start["bn1.running_mean"].float(), kept["bn1.running_mean"])
        others(folder)


if __name__ == "__main__":
    main()
