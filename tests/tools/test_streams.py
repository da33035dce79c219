#!/usr/bin/env python3
"""The tools' standard streams: closed at the start, full, shared with what libraries print.

  test_streams.py ACTC-TRAIN ACTC-INFO ACTC-BENCH ACTC-MEMORY ACTC-PARITY [unittest arguments]       needs Python 3 only
"""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

TRAIN, INFO, BENCH, MEMORY, PARITY = (os.path.abspath(sys.argv.pop(1)) for _ in range(5))
IMAGES = 64
# Listing Vulkan devices takes longer than all else here.
ENVIRONMENT = {**os.environ, "VK_DRIVER_FILES": "/nonexistent/no-driver.json"}
RUN = [TRAIN, "mnistnet", "--device", "cpu", "--batch", "16", "--seed", "1"]  # and --data-dir, see setUpModule
CASE = [PARITY, "--backends", "cpu", "--filter", "conv2d.fwd(n=1,c=1,*"]
JSON = ["--format", "json"]
CANNOT = "cannot write to the standard output"


def setUpModule():
    """A made-up data set, small enough to be read in no time."""
    folder = tempfile.mkdtemp(prefix="actc-streams-")
    unittest.addModuleCleanup(shutil.rmtree, folder)
    numbers = random.Random(1)
    for part in ("train", "t10k"):
        with open(os.path.join(folder, part + "-images-idx3-ubyte"), "wb") as file:
            file.write(struct.pack(">IIII", 0x803, IMAGES, 28, 28) + numbers.randbytes(IMAGES * 784))
        with open(os.path.join(folder, part + "-labels-idx1-ubyte"), "wb") as file:
            file.write(struct.pack(">II", 0x801, IMAGES) + bytes(i % 10 for i in range(IMAGES)))
    RUN.extend(["--data-dir", folder])


def commands(record):
    """Everything that the tools print on the standard output."""
    short = RUN + ["--steps", "2", "--out", "none"]
    codec = [BENCH, "codec", "--shape", "4", "--device", "cpu"]
    for tool in (TRAIN, INFO, BENCH, MEMORY, PARITY):
        for option in ("--help", "-h", "--version"):
            yield [tool, option]
    compile_all = [INFO, "--compile-all", "--device", "cpu"]
    for command in (short, [INFO], [INFO, "mnistnet"], compile_all, codec, [MEMORY, "mnistnet"], [PARITY, "--list"],
                    CASE + ["--record", record]):
        yield command
        yield command + JSON


class Streams(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="actc-streams-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.record = os.path.join(self.folder, "record.json")

    def run_tool(self, command, code, closed=(), **options):
        def close():
            for fd in closed:
                os.close(fd)

        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT, **options}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, preexec_fn=close, text=True, timeout=120, cwd=self.folder,
                              **options)
        self.assertEqual(done.returncode, code, f"{command}, closed {closed}\n{done.stdout}\n{done.stderr}")
        return done

    def test_full(self):
        for command in commands(self.record):
            with open("/dev/full", "w") as full:
                done = self.run_tool(command, 1, stdout=full)
            self.assertEqual(done.stderr.count(os.path.basename(command[0]) + ": " + CANNOT), 1, f"{command}: {done.stderr}")

    def test_full_other_exit_codes(self):
        """Where nothing goes to the standard output the code is what it was; results that are lost make a failure of a skip."""
        with open("/dev/full", "w") as full:
            self.assertNotIn(CANNOT, self.run_tool([INFO, "--format", "yaml"], 2, stdout=full).stderr)
            self.assertNotIn(CANNOT, self.run_tool(CASE, 77, stdout=full).stderr)
            self.assertIn(CANNOT, self.run_tool(CASE + JSON, 1, stdout=full).stderr)

    def test_closed(self):
        for command in commands(self.record):
            self.assertIn(CANNOT, self.run_tool(command, 1, closed=[1]).stderr, command)
            self.run_tool(command, 1, closed=[0, 1, 2])
        train = RUN + ["--steps", "1", "--out", "none"] + JSON
        for command in ([INFO, "--version"], [PARITY, "--list"], [BENCH, "--help"], train):
            usual = self.run_tool(command, 0).stdout
            for closed in ([0], [2], [0, 2]):
                printed = self.run_tool(command, 0, closed=closed).stdout
                if JSON[-1] in command:
                    self.assertEqual(json.loads(printed).keys(), json.loads(usual).keys())
                else:
                    self.assertEqual(printed, usual)

    def read(self, folder):
        """What a run keeps: its lines without the times, and its other files."""
        kept = {}
        for name in sorted(os.listdir(os.path.join(self.folder, folder))):
            with open(os.path.join(self.folder, folder, name), "rb") as file:
                kept[name] = file.read()
        kept["metrics.jsonl"] = [{k: v for k, v in json.loads(line).items() if k != "images_per_s"}
                                 for line in kept["metrics.jsonl"].splitlines()]
        return kept

    def test_run_folder(self):
        """No message finds its way into a file of the run: the files are those of a run with all streams."""
        run = RUN + ["--epochs", "1", "--log-every", "1"]
        self.run_tool(run + ["--out", "usual"], 0)
        usual = self.read("usual")
        self.assertIn("model.safetensors", usual)
        for closed in ([0], [1], [2], [0, 1], [1, 2], [0, 1, 2]):
            for name, form in (("text", []), ("json", JSON)):
                out = name + "".join(map(str, closed))
                self.run_tool(run + ["--out", out] + form, 1 if 1 in closed else 0, closed=closed)
                self.assertEqual(self.read(out), usual, f"closed {closed}, {name}")

    def test_run_folder_after_failure(self):
        run = RUN + ["--epochs", "1", "--optim", "sgd", "--lr", "1e6"]
        self.run_tool(run + ["--out", "usual"], 1)
        self.run_tool(run + ["--out", "closed"], 1, closed=[2])
        self.assertEqual(self.read("closed"), self.read("usual"))

    def test_libraries_print(self):
        """oneDNN's verbose mode prints on the standard output: JSON stays JSON, and the lines are not lost."""
        verbose = {**ENVIRONMENT, "ONEDNN_VERBOSE": "1", "DNNL_VERBOSE": "1"}
        for command in (RUN + ["--steps", "2", "--out", "none"], CASE + ["--record", self.record]):
            done = self.run_tool(command + JSON, 0, env=verbose)
            json.loads(done.stdout)
            self.assertIn("dnn", done.stderr)
            self.assertIn("_verbose,", done.stderr)
            with open("/dev/full", "w") as full:
                self.run_tool(command + JSON, 1, env=verbose, stdout=full)
                json.loads(self.run_tool(command + JSON, 0, env=verbose, stderr=full).stdout)


if __name__ == "__main__":
    unittest.main()
