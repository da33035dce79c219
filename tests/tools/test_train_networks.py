#!/usr/bin/env python3
"""Any network by actc-train: generated data, what networks are built for, weights from a file.

  test_train_networks.py ACTC-TRAIN [unittest arguments]       needs Python 3 and Debian's dataset-fashion-mnist

Data, sizes and helpers are those of test_train.py. Nothing here needs PyTorch; tests/oracle/weights_pytorch.py does.
"""
import json
import os
import struct
import unittest

from test_train import SMALL, Case, read_bytes, setUpModule, write_bytes  # noqa: F401

NETWORK = ["resnet18", "--size", "8,8", "--classes", "5", "--net-option", "width=4", "--device", "cpu"]
SYNTHETIC = NETWORK + ["--data", "synthetic", "--limit", "32", "--batch", "8"] # 4 steps an epoch


def read_all(path):
    """Metadata, and dtype, shape and bytes of every tensor."""
    raw = read_bytes(path)
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n])
    metadata = header.pop("__metadata__", {})
    return metadata, {k: (t["dtype"], t["shape"], raw[8 + n:][slice(*t["data_offsets"])]) for k, t in header.items()}


def write_all(path, tensors):
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    write_bytes(path, struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


class Synthetic(Case):
    def test_resumed(self):
        """Ended within an epoch and resumed: the same bytes; the folder says what the network is built for."""
        self.run_tool(SYNTHETIC + ["--epochs", "3", "--out", "whole", "--log-every", "1"])
        self.run_tool(SYNTHETIC + ["--epochs", "3", "--steps", "6", "--out", "run", "--log-every", "1"])
        self.run_tool(["--resume", "run", "--steps", "12"])
        self.same_file(self.path("whole", "model.safetensors"), self.path("run", "model.safetensors"))
        self.assertEqual(self.metrics(self.path("whole")), self.metrics(self.path("run")))
        config = json.loads(read_bytes(self.path("run", "config.json")))
        for key, value in (("data", "synthetic"), ("size", "8,8"), ("classes", 5), ("net-option", "width=4"), ("limit", 32)):
            self.assertEqual(config[key], value)
            self.assertIn(f"{key}={value}", config["run"])
        for option, value in (("--size", "16,16"), ("--classes", "6"), ("--net-option", "width=8")):
            self.refuse(["--resume", "run", option, value], 2, option, "cannot go on with another")
        self.refuse(["--resume", "run", "--weights", "run/model.safetensors"], 2, "--weights run/model.safetensors must be left out")

    def test_seed_and_default_size(self):
        a, _ = self.json_run(SYNTHETIC + ["--steps", "1", "--log-every", "1", "--out", "none"])
        b, _ = self.json_run(SYNTHETIC + ["--steps", "1", "--log-every", "1", "--out", "none"])
        c, _ = self.json_run(SYNTHETIC + ["--steps", "1", "--log-every", "1", "--out", "none", "--seed", "1"])
        self.assertEqual(a["loss"], b["loss"])
        self.assertNotEqual(a["loss"], c["loss"])
        done = self.run_tool(NETWORK + ["--data", "synthetic", "--batch", "256", "--steps", "1", "--out", "none"])
        self.assertIn("on synthetic, 1024 training and 1024 test images", done.stdout)

    def test_first_loss_compressed(self):
        """Generated data is data as any other: compression does not change the first loss."""
        arguments = SYNTHETIC + ["--steps", "1", "--log-every", "1", "--out", "none"]
        plain, _ = self.json_run(arguments)
        compressed, _ = self.json_run(arguments + ["--compress", "*=dct:lambda=100"])
        self.assertEqual(plain["loss"], compressed["loss"])
        self.assertGreater(compressed["saved_payload_bytes"], 0)

    def test_mnistnet(self):
        result, _ = self.json_run(["mnistnet", "--data", "synthetic", "--limit", "16", "--batch", "8", "--steps", "2", "--device", "cpu",
                                   "--out", "none"])
        self.assertLessEqual(result["test_accuracy"], 1)

    def test_resnet_on_images(self):
        """A network that is built for a data set's images trains on them."""
        done = self.run_tool(["resnet18", "--size", "28,28", "--classes", "10", "--net-option", "channels=1,width=4"] + SMALL[1:] +
                             ["--limit", "32", "--steps", "2", "--out", "none"])
        self.assertIn("resnet18 (", done.stdout)

    def test_images(self):
        """A network whose target is an image: its loss falls, there is no accuracy, and compression leaves the first loss alone."""
        edsr = ["edsr", "--data", "synthetic", "--size", "6,5", "--net-option", "features=4,blocks=2,scale=3", "--device", "cpu", "--limit",
                "16", "--batch", "4", "--log-every", "1", "--lr", "0.01"]
        result, _ = self.json_run(edsr + ["--epochs", "4", "--out", "run"])
        self.assertLess(result["loss"][-1], result["loss"][0])
        self.assertIsNone(result["test_accuracy"])
        self.assertIsNone(self.metrics(self.path("run"))[-1]["test_accuracy"])
        compressed, _ = self.json_run(edsr + ["--steps", "1", "--out", "none", "--compress", "*=dct:lambda=10"])
        self.assertEqual(compressed["loss"], result["loss"][:1])
        done = self.run_tool(edsr + ["--epochs", "1", "--out", "none"])
        self.assertIn("test loss", done.stdout)
        self.assertNotIn("accuracy", done.stdout)
        shift = read_all(self.path("run", "model.safetensors"))[1]["add_mean.bias"][2]
        self.assertEqual([round(x / 255, 6) for x in struct.unpack("<3f", shift)], [0.4488, 0.4371, 0.404])
        self.refuse(["edsr", "--data", "fashion-mnist"], 1, "its labels are classes, edsr takes targets of 3x192x192")

    def test_maps(self):
        """Labels a position, and masks."""
        deeplab = ["deeplabv3plus", "--data", "synthetic", "--size", "17,20", "--classes", "3", "--net-option", "width=10,features=4"]
        unet = ["unet3d", "--data", "synthetic", "--size", "4,4,4", "--net-option", "features=2,depth=1,loss=1"]
        for network in (deeplab, unet):
            result, _ = self.json_run(network + ["--device", "cpu", "--limit", "8", "--batch", "4", "--out", "none", "--steps", "2"])
            self.assertEqual(result["test_accuracy"] is None, network is unet)
        self.refuse(deeplab + ["--batch", "1"], 2, "--batch 1 and inputs of 3x17x20", "one value a channel")

    def test_bad(self):
        self.refuse(["resnet18"], 2, "resnet18 has no usual data set", "--data synthetic")
        self.refuse(["resnet18"] + SMALL[1:], 1, "its images are 1x28x28 in 10 classes, resnet18 takes 3x32x32 in 100")
        self.refuse(SYNTHETIC + ["--data-dir", "x"], 2, "--data-dir x", "synthetic is generated")
        self.refuse(SYNTHETIC + ["--batch", "33"], 2, "--batch 33: there are 32 training images")
        self.refuse(["mnistnet", "--size", "32,32"], 2, "--size 32,32", "28,28 alone")
        self.refuse(["resnet18", "--net-option", "depth=3"], 2, "depth=3", "width (1 to 1024)")
        self.refuse(["resnet18", "--data", "nothing"], 2, 'unknown data set "nothing"', "--data synthetic")
        self.refuse(SYNTHETIC + ["--weights-partial"], 2, "--weights FILE is missing")

    def test_blame(self):
        """A network that cannot be made is not blamed on rules that are right, and wrong rules are named."""
        tiny = ["resnet18", "--size", "1,1", "--data", "synthetic", "--batch", "1", "--device", "cpu", "--net-option", "width=4"]
        for rules in ([], ["--compress", "*=dct:lambda=100"]):
            done = self.run_tool(tiny + rules, 2)
            self.assertIn("--batch 1 and inputs of 3x1x1: ", done.stderr)
            self.assertNotIn("--compress", done.stderr)
        self.refuse(SYNTHETIC + ["--compress", "*=dct:lamda=1"], 2, "--compress: ", "lamda")


class Weights(Case):
    def setUp(self):
        super().setUp()
        self.run_tool(SYNTHETIC + ["--steps", "4", "--out", "first"])
        self.model = self.path("first", "model.safetensors")
        self.tensors = read_all(self.model)[1]
        self.frozen = SYNTHETIC + ["--steps", "1", "--lr", "0", "--optim", "sgd"]

    def parameters(self, run):
        tensors = read_all(self.path(run, "model.safetensors"))[1]
        return {k: v for k, v in tensors.items() if "running" not in k and "tracked" not in k}

    def test_saved(self):
        """What is saved has the counters of PyTorch, which come first, at multiples of 8."""
        counters = {k: v for k, v in self.tensors.items() if v[0] == "I64"}
        self.assertEqual(len(counters), 20)
        self.assertEqual(len([k for k in self.tensors if k.endswith("running_mean")]), 20)
        for name, (_, shape, data) in counters.items():
            self.assertTrue(name.endswith(".num_batches_tracked"))
            self.assertEqual((shape, struct.unpack("<q", data)), ([], (4,)))

    def test_same(self):
        first = self.parameters("first")
        for source in ("model.safetensors", "checkpoint-0000000004.safetensors"):
            self.run_tool(self.frozen + ["--weights", os.path.join("first", source), "--out", source + "-run"])
            self.assertEqual(self.parameters(source + "-run"), first)
        config = json.loads(read_bytes(self.path("model.safetensors-run", "config.json")))
        self.assertEqual(config["weights"], os.path.realpath(self.model))

    def test_resumed_from_the_start(self):
        """Killed before its first checkpoint, a run begins with the weights again."""
        self.run_tool(self.frozen + ["--weights", "first/model.safetensors", "--out", "run"])
        before = self.parameters("run")
        for name in os.listdir(self.path("run")):
            if name.endswith(".safetensors"):
                os.remove(self.path("run", name))
        self.run_tool(["--resume", "run"])
        self.assertEqual(self.parameters("run"), before)
        self.assertEqual(before, self.parameters("first"))

    def test_differences(self):
        changed = dict(self.tensors)
        del changed["bn1.running_var"], changed["layer1.0.conv1.weight"]
        changed["head.weight"] = ("F32", [1], b"\0" * 4)
        changed["fc.weight"] = ("F32", [2, 2], b"\0" * 16)
        changed["fc.bias"] = ("I64", [5], b"\0" * 40)
        write_all(self.path("w"), changed)
        texts = ["missing: layer1.0.conv1.weight, bn1.running_var", "unexpected: head.weight",
                 "of another shape: fc.weight (2x2 for 5x32)", "of a dtype that is not read: fc.bias"]
        done = self.run_tool(self.frozen + ["--weights", "w", "--out", "strict"], 2)
        for text in texts[1:]:
            self.assertIn(text, done.stderr)
        self.assertTrue("bn1.running_var" in done.stderr and "layer1.0.conv1.weight" in done.stderr, done.stderr)
        self.assertFalse(os.path.exists(self.path("strict")))
        done = self.run_tool(self.frozen + ["--weights", "w", "--weights-partial", "--out", "part"])
        for text in texts[1:] + ["98 tensors are taken"]:
            self.assertIn(text, done.stderr)
        self.run_tool(self.frozen + ["--out", "fresh"])
        first, part, fresh = self.parameters("first"), self.parameters("part"), self.parameters("fresh")
        for name in first:
            changed_one = name in ("fc.weight", "fc.bias", "layer1.0.conv1.weight")
            self.assertEqual(part[name], fresh[name] if changed_one else first[name], name)

    def test_bad(self):
        self.refuse(self.frozen + ["--weights", "none"], 1, "--weights: ", "none")
        write_bytes(self.path("bad"), b"PK\3\4 a pickle")
        self.refuse(self.frozen + ["--weights", "bad"], 1, "--weights: ", "no safetensors file")
        write_all(self.path("other"), {"a": ("F32", [1], b"\0" * 4)})
        self.refuse(self.frozen + ["--weights", "other", "--weights-partial"], 2, "holds no tensor that fits")
        raw = bytearray(read_bytes(self.model))
        raw[-5] ^= 64
        write_bytes(self.path("flipped"), raw)
        self.refuse(self.frozen + ["--weights", "flipped"], 1, "it was written with checksum")


if __name__ == "__main__":
    unittest.main()
