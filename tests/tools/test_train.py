#!/usr/bin/env python3
"""Runs actc-train as a user does: what it prints and keeps, killed and resumed, and what it says of bad input.

  test_train.py ACTC-TRAIN [unittest arguments]       needs Python 3 and Debian's dataset-fashion-mnist

Runs are small (the first 320 images, batches of 16: 20 steps an epoch). Everything is on the CPU backend.
"""
import gzip
import json
import os
import pty
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

TOOL = os.path.abspath(sys.argv.pop(1))
DATA = "/usr/share/datasets/fashion-mnist"
COMMON = ["mnistnet", "--data", "fashion-mnist", "--device", "cpu"]
SMALL = COMMON + ["--batch", "16"] # and --data-dir, see setUpModule
IMAGES = 320
PARAMETERS = {
    "conv1.weight": [16, 1, 3, 3], "conv1.bias": [16], "conv2.weight": [8, 16, 3, 3], "conv2.bias": [8],
    "fc1.weight": [128, 1152], "fc1.bias": [128], "fc2.weight": [10, 128], "fc2.bias": [10],
}


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def write_bytes(path, content):
    with open(path, "wb") as file:
        file.write(content)


def setUpModule():
    """Copies of the first images only, which are read in no time."""
    folder = tempfile.mkdtemp(prefix="actc-train-data-")
    unittest.addModuleCleanup(shutil.rmtree, folder)
    for part in ("train", "t10k"):
        for name, header, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            raw = gzip.decompress(read_bytes(os.path.join(DATA, f"{part}-{name}-ubyte.gz")))
            write_bytes(os.path.join(folder, f"{part}-{name}-ubyte"),
                        raw[:4] + struct.pack(">I", IMAGES) + raw[8:header + IMAGES * size])
    SMALL.extend(["--data-dir", folder])


def read_safetensors(path):
    """The format read by its description, independently of src/io."""
    raw = read_bytes(path)
    (n,) = struct.unpack("<Q", raw[:8])
    header, data = json.loads(raw[8:8 + n]), raw[8 + n:]
    metadata = header.pop("__metadata__", {})
    tensors, end = {}, 0
    for name, t in header.items():
        begin, stop = t["data_offsets"]
        count = 1
        for d in t["shape"]:
            count *= d
        assert t["dtype"] == "F32" and begin == end and stop - begin == 4 * count, (name, t)
        tensors[name] = (t["shape"], struct.unpack(f"<{count}f", data[begin:stop]))
        end = stop
    assert end == len(data) and (8 + n) % 8 == 0
    return metadata, tensors


def with_checksum(raw):
    """The file's bytes with the checksum that fits them (src/io/checksum.c)."""
    (n,) = struct.unpack("<Q", raw[:8])
    header, data, total = json.loads(raw[8:8 + n]), raw[8 + n:], 0
    metadata = header.pop("__metadata__")
    for key, value in metadata.items():
        if key != "checksum":
            total += zlib.crc32(f"m{key}\0{value}\0".encode())
    for name, t in header.items():
        begin, end = t["data_offsets"]
        total += zlib.crc32(f"t{name}\0".encode() + struct.pack(f"<{len(t['shape'])}q", *t["shape"]) + data[begin:end])
    return raw.replace(b'"checksum":"' + metadata["checksum"].encode(), b'"checksum":"%08x' % (total & 0xffffffff), 1)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="actc-train-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run_tool(self, arguments, code=0, **options):
        done = subprocess.run([TOOL] + arguments, cwd=self.folder, capture_output=True, text=True, timeout=300, **options)
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def refuse(self, arguments, code, *texts, **options):
        """Fails with this exit code and one message that holds the texts, and prints nothing else."""
        done = self.run_tool(arguments, code, **options)
        for text in texts:
            self.assertIn(text, done.stderr, arguments)
        self.assertTrue(done.stderr.startswith("actc-train: "), done.stderr)
        self.assertEqual(done.stdout, "", arguments)
        self.assertNotIn("(null)", done.stderr)

    def json_run(self, arguments):
        done = self.run_tool(arguments + ["--format", "json"])
        return json.loads(done.stdout), done.stdout

    def same_file(self, a, b):
        self.assertEqual(read_bytes(a), read_bytes(b), f"{a} and {b} differ")

    def metrics(self, folder):
        lines = [json.loads(line) for line in read_bytes(os.path.join(folder, "metrics.jsonl")).splitlines()]
        for line in lines:
            line.pop("images_per_s", None)
        return lines


class Output(Case):
    def test_json(self):
        result, text = self.json_run(SMALL + ["--steps", "25", "--log-every", "1", "--out", "run", "--seed", "1"])
        for key in ("test_accuracy", "test_loss", "images_per_s"):
            self.assertIsInstance(result[key], float)
        self.assertGreater(result["images_per_s"], 0)
        self.assertGreater(result["test_accuracy"], 0.2)
        for key in ("planned_bytes", "allocated_bytes", "planned_bytes_uncompressed", "saved_kept_dense_bytes",
                    "saved_payload_bytes", "saved_uncompressed_bytes", "segments_per_step"):
            self.assertIsInstance(result[key], int)
        self.assertEqual(result["planned_bytes"], result["allocated_bytes"])
        self.assertEqual(sum(result["peak_bytes"].values()), result["planned_bytes"])
        self.assertEqual(result["saved_payload_bytes"], 0)
        self.assertEqual(len(result["loss"]), 25)
        self.assertLess(abs(result["loss"][0] - 2.3), 0.3)
        for tensor in result["tensors"]:
            self.assertLessEqual(tensor["payload_bytes"], tensor["dense_bytes"])
            self.assertEqual(tensor["relative_error"], 0)
        self.assertIn("relu1", [t["name"] for t in result["tensors"]])
        # every loss as it is written reads back to the float32 it was
        written = re.search(r'"loss":\s*\[([^]]*)\]', text).group(1).split(",")
        for item in written:
            value = struct.unpack("f", struct.pack("f", float(item)))[0]
            self.assertEqual("%.9g" % value, item.strip())
        # and metrics.jsonl has the same
        lines = [line for line in self.metrics(self.path("run")) if "loss" in line]
        self.assertEqual([line["loss"] for line in lines], result["loss"])
        self.assertEqual([line["step"] for line in lines], list(range(1, 26)))

    def test_text(self):
        done = self.run_tool(SMALL + ["--epochs", "2"])
        epochs = [line for line in done.stdout.splitlines() if line.startswith("epoch")]
        self.assertEqual(len(epochs), 2)
        self.assertRegex(epochs[1], r"epoch +2/2 +loss [\d.]+ +test loss [\d.]+ +test accuracy [\d.]+ +\d+ images/s")
        for text in ("(150194 parameters)", "test accuracy", "parameters", "gradients", "optimizer", "kept dense", "payload",
                     "masks", "transient", "workspace", "planned", "allocated", "planned without compression",
                     "relative error"):
            self.assertIn(text, done.stdout)
        self.assertNotIn("\r", done.stdout + done.stderr)  # no bar where there is no terminal
        (run,) = os.listdir(self.path("runs"))
        self.assertRegex(run, r"^mnistnet-\d{8}-\d{6}$")
        self.assertIn(f"runs/{run}", done.stdout)

    def test_bar(self):
        """On a terminal there is a bar with images/s and the time left."""
        terminal, end = pty.openpty()
        process = subprocess.Popen([TOOL] + SMALL + ["--epochs", "3", "--out", "none"], cwd=self.folder, stdout=subprocess.DEVNULL,
                                   stderr=end)
        os.close(end)
        shown = b""
        try:
            while chunk := os.read(terminal, 4096):
                shown += chunk
        except OSError:  # the other end is closed
            pass
        os.close(terminal)
        self.assertEqual(process.wait(), 0)
        self.assertRegex(shown.decode(), r"\r\x1b\[Kepoch 1/3 \[#*\.*\] +\d+ %  \d+ images/s  .* left")
        self.assertTrue(shown.endswith(b"\r\x1b[K"))

    def test_model(self):
        self.run_tool(SMALL + ["--steps", "3", "--out", "a/b"])
        self.assertEqual(sorted(os.listdir(self.path("a/b"))),
                         ["checkpoint-0000000003.safetensors", "config.json", "metrics.jsonl", "model.safetensors"])
        metadata, tensors = read_safetensors(self.path("a/b/model.safetensors"))
        self.assertEqual({name: t[0] for name, t in tensors.items()}, PARAMETERS)
        self.assertEqual((metadata["network"], metadata["step"]), ("mnistnet", "3"))
        metadata, state = read_safetensors(self.path("a/b/checkpoint-0000000003.safetensors"))
        self.assertEqual(len(state), 3 * len(PARAMETERS))
        for name, shape in PARAMETERS.items():
            self.assertEqual(state["exp_avg_sq." + name][0], shape)
            self.assertEqual(state[name][1], tensors[name][1])
            self.assertGreaterEqual(min(state["exp_avg_sq." + name][1]), 0)
        self.assertEqual((metadata["epoch"], metadata["index"], metadata["updates"]), ("0", "3", "3"))

    def test_keeps_nothing(self):
        done = self.run_tool(SMALL + ["--steps", "2", "--out", "none"])
        self.assertEqual(os.listdir(self.folder), [])
        self.assertIn("test accuracy", done.stdout)

    def test_help(self):
        text = self.run_tool(["--help"]).stdout
        for option in ("data", "data-dir", "device", "threads", "compress", "epochs", "steps", "batch", "optim", "lr", "schedule",
                       "seed", "out", "save-every", "resume", "log-every", "limit", "format", "help", "version"):
            self.assertIn("--" + option, text)
        self.assertIn("Examples:", text)
        self.assertRegex(self.run_tool(["--version"]).stdout, r"^actc-train \(actc\) \d+\.\d+\.\d+\n$")

    def test_checkpoints_kept(self):
        self.run_tool(SMALL + ["--steps", "10", "--save-every", "3", "--out", "run"])
        self.assertEqual([n for n in sorted(os.listdir(self.path("run"))) if n.startswith("checkpoint")],
                         ["checkpoint-0000000009.safetensors", "checkpoint-0000000010.safetensors"])


class Compression(Case):
    RULES = ["--compress", "conv1,relu1,conv2=dct:lambda=10"]

    def test_compressed(self):
        result, _ = self.json_run(SMALL + ["--steps", "5", "--log-every", "1", "--out", "none"] + self.RULES)
        plain, _ = self.json_run(SMALL + ["--steps", "5", "--log-every", "1", "--out", "none"])
        self.assertEqual(result["loss"][0], plain["loss"][0])  # the forward pass is untouched
        self.assertNotEqual(result["loss"][4], plain["loss"][4])
        lossy = [t for t in result["tensors"] if t["codec"].startswith("dct")]
        self.assertEqual([t["name"] for t in lossy], ["relu1"])
        self.assertLess(lossy[0]["payload_bytes"], lossy[0]["dense_bytes"])
        self.assertTrue(0 < lossy[0]["relative_error"] < 1)
        self.assertEqual(result["saved_payload_bytes"], lossy[0]["payload_bytes"])
        self.assertEqual(result["saved_uncompressed_bytes"], lossy[0]["dense_bytes"])
        self.assertEqual(result["planned_bytes"], result["allocated_bytes"])
        self.assertEqual(result["planned_bytes_uncompressed"], plain["planned_bytes"])


class Resume(Case):
    def uninterrupted(self, arguments):
        self.run_tool(arguments + ["--out", "whole"])

    def check(self, run):
        self.same_file(self.path("whole", "model.safetensors"), self.path(run, "model.safetensors"))
        newest = max(n for n in os.listdir(self.path("whole")) if n.startswith("checkpoint"))
        self.same_file(self.path("whole", newest), self.path(run, newest))
        self.assertEqual(self.metrics(self.path("whole")), self.metrics(self.path(run)))
        self.assertEqual([n for n in os.listdir(self.path(run)) if "tmp" in n], [])

    def start(self, arguments):
        return subprocess.Popen([TOOL] + arguments, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def step_of(self, run):
        try:
            lines = read_bytes(self.path(run, "metrics.jsonl")).splitlines()
            return json.loads(lines[-1])["step"] if lines else 0
        except (OSError, json.JSONDecodeError):
            return 0

    def killed(self, arguments, seed):
        """Killed several times at random steps, resumed each time: the same files as without."""
        choose = random.Random(seed)
        arguments = arguments + ["--log-every", "1", "--save-every", "7", "--seed", "5"]
        self.uninterrupted(arguments)
        steps = self.step_of("whole")
        targets = sorted(choose.sample(range(1, steps), 3))
        process = self.start(arguments + ["--out", "killed"])
        for target in targets:
            deadline = time.time() + 120
            while self.step_of("killed") < target and process.poll() is None and time.time() < deadline:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            process = self.start(["--resume", "killed"])
        _, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, errors)
        self.check("killed")

    def test_killed(self):
        self.killed(SMALL + ["--epochs", "3"], 1)

    def test_killed_plateau_compressed(self):
        self.killed(SMALL + ["--epochs", "3", "--schedule", "plateau:patience=0,gamma=0.5", "--compress",
                             "conv1,relu1,conv2=dct:lambda=10", "--optim", "adamw"], 2)

    def test_killed_while_accumulating(self):
        self.killed(SMALL + ["--steps", "50", "--accumulate", "3", "--optim", "sgd:momentum=0.9", "--schedule", "cosine"], 3)

    def test_killed_while_saving(self):
        """Killed at random moments of a run that mostly writes checkpoints, starting included."""
        choose = random.Random(4)
        arguments = SMALL + ["--epochs", "2", "--log-every", "1", "--save-every", "1", "--seed", "6", "--compress",
                             "conv1,relu1,conv2=threshold:values=int8"]
        start = time.time()
        self.uninterrupted(arguments)
        seconds = time.time() - start
        process = self.start(arguments + ["--out", "killed"])
        for _ in range(8):
            time.sleep(choose.uniform(0, 0.4 * seconds))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if os.path.exists(self.path("killed", "config.json")):
                process = self.start(["--resume", "killed"])
            else:
                process = self.start(arguments + ["--out", "killed"])
        _, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, errors)
        self.check("killed")

    def test_before_the_first_checkpoint(self):
        self.uninterrupted(SMALL + ["--steps", "6"])
        shutil.copytree(self.path("whole"), self.path("early"))
        for name in os.listdir(self.path("early")):
            if name != "config.json":
                os.unlink(self.path("early", name))
        self.run_tool(["--resume", "early"])
        self.check("early")

    def test_interrupted(self):
        arguments = SMALL + ["--epochs", "40", "--log-every", "1"]
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            run = "run%d" % code
            process = self.start(arguments + ["--out", run])
            while self.step_of(run) < 2 and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, code, errors)
            self.assertIn(f"'actc-train --resume {run}' goes on", errors)
            step = self.step_of(run)
            self.assertLess(step, 800)
            self.assertIn(f"checkpoint-{step:010}.safetensors", os.listdir(self.path(run)))
            metadata, _ = read_safetensors(self.path(run, "model.safetensors"))
            self.assertEqual(metadata["step"], str(step))
            # on to a nearer end than was asked for first
            end = str(step + 3)
            self.run_tool(["--resume", run, "--steps", end])
            self.run_tool(arguments + ["--steps", end, "--out", "whole"])
            self.check(run)
            shutil.rmtree(self.path("whole"))

    def test_killed_before_its_config(self):
        """What such a run was writing goes with the next one; files of others stay."""
        os.mkdir(self.path("run"))
        for name in ("config.json.tmp-1", "mine.safetensors.tmp-1"):
            open(self.path("run", name), "w").close()
        self.run_tool(SMALL + ["--steps", "1", "--out", "run"])
        self.assertEqual([n for n in os.listdir(self.path("run")) if "tmp" in n], ["mine.safetensors.tmp-1"])

    def test_interrupted_while_evaluating(self):
        """No epoch's line is lost, wherever the signal comes: here most of the time goes into evaluation."""
        arguments = SMALL + ["--epochs", "60", "--batch", "200"]
        self.uninterrupted(arguments)
        random.seed(3)
        run = [*arguments, "--out", "run"]
        for _ in range(12):
            process = self.start(run)
            time.sleep(random.uniform(0.02, 0.12))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            if process.returncode == 0:
                break
            self.assertIn(process.returncode, (130, -signal.SIGINT), errors)  # before it is caught nothing is there to be lost
            if os.path.exists(self.path("run", "config.json")):
                run = ["--resume", "run"]
        self.run_tool(run)
        self.check("run")

    def test_further(self):
        """A run that is complete goes on when more is asked for."""
        self.uninterrupted(SMALL + ["--epochs", "3"])
        self.run_tool(SMALL + ["--epochs", "2", "--out", "run"])
        done = self.run_tool(["--resume", "run"])
        self.assertIn("the run is complete at step 40", done.stderr)
        self.run_tool(["mnistnet", "--resume", "run", "--epochs", "3"])
        self.check("run")
        done = self.run_tool(["--resume", "run", "--epochs", "4", "--lr", "0.002"])
        self.assertIn("--lr 0.002 replaces '0.001", done.stderr)

    def test_damaged_checkpoint(self):
        self.uninterrupted(SMALL + ["--steps", "10", "--save-every", "4"])
        shutil.copytree(self.path("whole"), self.path("run"))
        with open(self.path("run", "checkpoint-0000000010.safetensors"), "r+b") as file:
            file.truncate(100000)
        write_bytes(self.path("run", "checkpoint-0000000012.safetensors.tmp-1-0"), b"")
        done = self.run_tool(["--resume", "run"])
        self.assertIn("checkpoint-0000000010.safetensors is damaged", done.stderr)
        self.assertIn("goes on after step 8 of 10", done.stdout)
        self.check("run")
        for name in os.listdir(self.path("run")):
            if name.startswith("checkpoint"):
                write_bytes(self.path("run", name), b"")
        self.refuse(["--resume", "run"], 1, "all its checkpoints are damaged")

    def test_wrong_folder(self):
        self.run_tool(SMALL + ["--steps", "2", "--out", "run"])
        before = {n: read_bytes(self.path("run", n)) for n in os.listdir(self.path("run"))}
        self.refuse(["--resume", "nowhere"], 1, "nowhere", "No such file")
        self.refuse(["--resume", "."], 1, "holds no run")
        self.refuse(["--resume", "run", "--out", "other"], 2, "--out other")
        self.refuse(["--resume", "run", "--batch", "64"], 2, "--batch 64", "has 16")
        self.refuse(["--resume", "run", "--seed", "9"], 2, "--seed 9", "has 0")
        self.refuse(["--resume", "run", "--optim", "sgd"], 2, "--optim sgd", "has adam")
        self.refuse(SMALL + ["--out", "run"], 1, "run", "holds a run already", "--resume run")
        after = {n: read_bytes(self.path("run", n)) for n in os.listdir(self.path("run"))}
        self.assertEqual(before, after)
        config = json.loads(before["config.json"])

        def rewrite(**changes):
            write_bytes(self.path("run", "config.json"), json.dumps({**config, **changes}).encode())
        rewrite(model="lenet5")
        self.refuse(["mnistnet", "--resume", "run"], 1, "a run of lenet5, not of mnistnet")
        self.refuse(["--resume", "run"], 1, "a run of lenet5, which this actc-train does not know")
        rewrite(batch="many")
        self.refuse(["--resume", "run"], 1, "config.json is damaged", "batch")
        write_bytes(self.path("run", "config.json"), b"{")
        self.refuse(["--resume", "run"], 1, "config.json is damaged")
        rewrite()
        # checkpoints of something else
        checkpoint = self.path("run", "checkpoint-0000000002.safetensors")
        good = read_bytes(checkpoint)
        for change, texts in ((lambda b: b.replace(b'"network":"mnistnet"', b'"network":"mnistmet"'), ['network "mnistmet"']),
                              (lambda b: b.replace(b'"optimizer":"adam"', b'"optimizer":"sgd" '), ['optimiser "sgd"']),
                              (lambda b: b.replace(b'"fc2.bias"', b'"fc3.bias"'), ['no tensor "fc2.bias"']),
                              (lambda b: read_bytes(self.path("run", "model.safetensors")), ["is no checkpoint of actc"]),
                              (lambda b: b"\x89PNG\r\n\x1a\n" + b[8:], ["no safetensors file", "all its checkpoints are damaged"])):
            changed = change(good)
            write_bytes(checkpoint, changed if changed.startswith(b"\x89PNG") else with_checksum(changed))
            self.refuse(["--resume", "run"], 1, checkpoint.split("/")[-1], *texts)


class Deterministic(Case):
    def test_cost(self):
        """What it costs is said after runs that are long enough, and the run is not changed by measuring it."""
        models = {}
        for steps in ("19", "20"):
            done = self.run_tool(SMALL + ["--deterministic", "--steps", steps, "--seed", "1", "--out", steps])
            self.assertEqual("cost" in done.stdout, steps == "20", done.stdout)
            found = re.search(r"^deterministic: a step at \d+ images/s, the fast mode's at \d+: \d+\.\d+ times the time$",
                              done.stdout, re.M)
            self.assertEqual(found is not None, steps == "20", done.stdout)
            models[steps] = read_safetensors(self.path(steps, "model.safetensors"))
        report = json.loads(self.run_tool(["--resume", "19", "--steps", "20", "--format", "json"]).stdout)
        self.assertIs(report["deterministic"], True)
        self.assertNotIn("images_per_s_fast", report) # one step
        self.assertEqual(read_safetensors(self.path("19", "model.safetensors")), models["20"])
        once = SMALL + ["--format", "json", "--out", "none"]
        report = json.loads(self.run_tool(once + ["--deterministic", "--steps", "20"]).stdout)
        self.assertGreater(report["images_per_s_fast"], 0)
        self.assertGreater(report["images_per_s_deterministic"], 0)
        self.assertIs(json.loads(self.run_tool(once + ["--steps", "1"]).stdout)["deterministic"], False)


class BadInput(Case):
    def test_arguments(self):
        data = SMALL
        for arguments, texts in (
            ([], ["no network is named", "mnistnet"]),
            (["mnistnett", "--data", "mnist"], ["unknown network 'mnistnett'", "there are mnistnet, resnet18"]),
            (["mnistnet", "other", "--data", "mnist"], ["'other' is one argument too many"]),
            (["mnistnet", "--data", "fashon-mnist"], ['"fashon-mnist"', 'did you mean "fashion-mnist"']),
            (data + ["--epoch", "3"], ["'--epoch'", "did you mean '--epochs'"]),
            (data + ["-e", "3"], ["'-e'"]),
            (data + ["--epochs"], ["--epochs needs a value"]),
            (data + ["--epochs", "0"], ["--epochs 0", "from 1"]),
            (data + ["--epochs", "1.5"], ["--epochs 1.5", "whole number"]),
            (data + ["--steps=-1"], ["--steps -1", "from 0"]),
            (data + ["--batch", "99999999999999999999"], ["--batch 99999999999999999999"]),
            (data + ["--batch", "321"], ["--batch 321", "320 training images"]),
            (data + ["--limit", "10"], ["--batch 16", "10 training images"]),
            (data + ["--lr", "nan"], ["--lr nan"]),
            (data + ["--lr", "fast"], ["--lr fast"]),
            (data + ["--seed", "-1"], ["--seed -1", "2^64 - 1"]),
            (data + ["--threads", "5000"], ["--threads 5000", "1024"]),
            (data + ["--format", "xml"], ["--format xml", "text|json"]),
            (data + ["--deterministic=yes"], ["--deterministic takes no value"]),
            (data + ["--optim", "rmsprop"], ["unknown optimiser 'rmsprop'", "adam, adamw, sgd"]),
            (data + ["--optim", "adam:momentum=0.9"], ["unknown key 'momentum'", "beta1"]),
            (data + ["--optim", "sgd:momentum=2"], ["momentum=2", "from 0 to 1"]),
            (data + ["--schedule", "stairs"], ['unknown schedule "stairs"', "plateau"]),
            (data + ["--schedule", "step:gamma=2"], ["gamma=2"]),
            (data + ["--device", "tpu"], ["'tpu'", "cpu"]),
            (data + ["--compress", "conv9=dct"], ["'conv9' matches no operator", "conv1 (conv)"]),
            (data + ["--compress", "*@attention=dct"], ["attention"]),
            (data + ["--compress", "conv2=zip"], ['"zip"', "dct"]),
            (data + ["--compress", "conv2=dct:lambda=0.5"], ["lambda=0.5", "at least 1"]),
            (data + ["--compress", "conv2=dct:ratio=1.5"], ["ratio=1.5", "from 0 to 1"]),
            (data + ["--compress", "conv2=dct:level=3"], ['"level"', "accepted"]),
            (data + ["--compress", "conv2=threshold:lambda=ten"], ["lambda=ten", "at least 1"]),
            (data + ["--compress", "conv2=dct:select=most"], ['value of select "most"', "global, tile"]),
            (data + ["--compress", "conv2=wavelet:wave=db99"], ['"db99"', "db1..db38"]),
            (data + ["--compress", "conv2"], ["conv2"]),
        ):
            with self.subTest(arguments=arguments):
                self.refuse(arguments, 2, *texts)
        self.assertEqual(os.listdir(self.folder), [])

    def test_device_index(self):
        self.refuse(["mnistnet", "--data", "fashion-mnist", "--device", "vulkan:no such device"], 1, "vulkan:no such device")

    def data_with(self, name, content, *texts):
        """A copy of the data in which one file is this."""
        folder = self.path("data")
        if not os.path.isdir(folder):
            os.mkdir(folder)
            for file in os.listdir(DATA):
                if file.endswith(".gz"):
                    os.symlink(os.path.join(DATA, file), os.path.join(folder, file))
        target = os.path.join(folder, name + ".gz")
        os.unlink(target)
        if content is not None:
            write_bytes(target, content)
        self.refuse(COMMON + ["--data-dir", folder], 1, folder, name, *texts)
        if content is not None:
            os.unlink(target)
        os.symlink(os.path.join(DATA, name + ".gz"), target)

    def test_data(self):
        name = "t10k-labels-idx1-ubyte"
        packed = read_bytes(os.path.join(DATA, name + ".gz"))
        plain = gzip.decompress(packed)
        self.data_with(name, None, "neither", "dataset-fashion-mnist")
        self.data_with(name, packed[:3000], "gzip")
        self.data_with(name, packed[:100] + b"\0\0\0\0" + packed[104:], "gzip")
        self.data_with(name, gzip.compress(plain[:-1]), "truncated", "10000 bytes of values, it holds 9999")
        self.data_with(name, plain + b"\0", "more than the 10000 bytes")
        self.data_with(name, b"\x08" + plain[1:], "neither an IDX file nor one gzipped")
        self.data_with(name, plain[:8] + b"\x0a" + plain[9:], "label 0 is 10")
        self.data_with(name, b"", "0 bytes")
        self.data_with("train-labels-idx1-ubyte", plain, "60000 images", "10000 labels")
        self.assertEqual(os.listdir(self.folder), ["data"])

    def test_not_finite(self):
        done = self.run_tool(SMALL + ["--optim", "sgd", "--lr", "1e6", "--out", "run", "--log-every", "1"], 1)
        self.assertRegex(done.stderr, r"step \d+: the (loss is|gradient of \S+ is not finite)")
        step = self.metrics(self.path("run"))[-1]["step"]
        # the state before the step is kept, whole and finite
        _, tensors = read_safetensors(self.path("run", f"checkpoint-{step:010}.safetensors"))
        for name, (_, values) in tensors.items():
            self.assertTrue(all(abs(v) < float("inf") for v in values), name)
        self.assertIn(f"step {step + 1}:", done.stderr)

    def test_full_disk(self):
        """No file may grow beyond 1 MB: the checkpoint (1.8 MB) fails, what was there stays."""
        self.run_tool(SMALL + ["--steps", "3", "--out", "run"])
        before = {n: read_bytes(self.path("run", n)) for n in os.listdir(self.path("run"))}

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        done = subprocess.run([TOOL, "--resume", "run", "--steps", "5"], cwd=self.folder, capture_output=True, text=True,
                              preexec_fn=limit, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("cannot write run/checkpoint-0000000005.safetensors: File too large", done.stderr)
        for name in ("checkpoint-0000000003.safetensors", "model.safetensors"):
            self.assertEqual(before[name], read_bytes(self.path("run", name)))
        self.assertEqual(sorted(os.listdir(self.path("run"))), sorted(before))
        self.run_tool(["--resume", "run", "--steps", "5"])

    def test_full_file_system(self):
        """Two checkpoints fit, a third does not: the two stay, and the run goes on from them where there is room."""
        arguments = SMALL + ["--steps", "30", "--save-every", "3", "--log-every", "1"]
        os.mkdir(self.path("small"))
        script = 'mount -t tmpfs -o size=5m tmpfs small || exit 77; "$@"; code=$?; cp -a small run; exit $code'
        try:
            done = subprocess.run(["unshare", "-Urm", "sh", "-c", script, "sh", TOOL] + arguments + ["--out", "small"],
                                  cwd=self.folder, capture_output=True, text=True, timeout=120)
        except FileNotFoundError:
            self.skipTest("there is no 'unshare' (util-linux)")
        if not os.path.isdir(self.path("run")):
            self.skipTest("no file system of its own may be mounted here: " + done.stderr.strip())
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("cannot write small/checkpoint-0000000009.safetensors: No space left on device", done.stderr)
        self.assertEqual(sorted(os.listdir(self.path("run"))), [
            "checkpoint-0000000003.safetensors", "checkpoint-0000000006.safetensors", "config.json", "metrics.jsonl"])
        self.run_tool(["--resume", "run"])
        self.run_tool(arguments + ["--out", "whole"])
        for name in ("model.safetensors", "checkpoint-0000000030.safetensors"):
            self.same_file(self.path("whole", name), self.path("run", name))
        self.assertEqual(self.metrics(self.path("whole")), self.metrics(self.path("run")))

    def test_out(self):
        write_bytes(self.path("file"), b"")
        self.refuse(SMALL + ["--out", "file/run"], 1, "file", "Not a directory")
        self.refuse(SMALL + ["--out", ""], 2, "--out")


if __name__ == "__main__":
    unittest.main()
