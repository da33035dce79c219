#!/usr/bin/env python3
"""Runs of actc-train against what befalls them: a second process, signals, damage, other images, an end between two updates.

  test_train_runs.py ACTC-TRAIN [unittest arguments]       needs Python 3 and Debian's dataset-fashion-mnist

Data, sizes and helpers are those of test_train.py.
"""
import fcntl
import json
import os
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import termios
import time
import unittest

from test_train import SMALL, TOOL, Case, read_bytes, read_safetensors, setUpModule, with_checksum, write_bytes  # noqa: F401

LONG = ["--epochs", "100000"]


def default_signals():
    """A test run under nohup, or by a job starter, hands on signals that it ignores."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)


class Runs(Case):
    def start(self, arguments, **options):
        options.setdefault("preexec_fn", default_signals)
        process = subprocess.Popen([TOOL] + arguments, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, **options)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_until(self, condition, process=None, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "waited too long")
            if process:
                self.assertIsNone(process.poll(), process)
            time.sleep(0.002)

    def wait_for_steps(self, run, process, lines=2):
        path = self.path(run, "metrics.jsonl")
        self.wait_until(lambda: os.path.exists(path) and read_bytes(path).count(b"\n") >= lines, process)

    def checkpoints(self, run):
        return sorted(n for n in os.listdir(self.path(run)) if n.startswith("checkpoint") and n.endswith(".safetensors"))

    def config(self, run):
        return json.loads(read_bytes(self.path(run, "config.json")))


class Lock(Runs):
    def test_second_process(self):
        """A folder in use is refused, and who has it is named; the first run is left alone, and what it leaves when it is killed is
        taken over."""
        process = self.start(SMALL + LONG + ["--save-every", "1", "--log-every", "1", "--out", "run"])
        self.wait_for_steps("run", process)
        holder = f"process {process.pid} on {os.uname().nodename}"
        self.refuse(["--resume", "run", "--steps", "1"], 1, "--resume run", holder)
        self.refuse(SMALL + ["--out", "run"], 1, "--out run", holder)
        lines = read_bytes(self.path("run", "metrics.jsonl")).count(b"\n")
        self.wait_for_steps("run", process, lines + 3)
        process.kill()
        process.wait()
        self.assertIn("lock", os.listdir(self.path("run")))
        step = max(int(n[11:21]) for n in self.checkpoints("run"))
        done = self.run_tool(["--resume", "run", "--steps", str(step + 3), "--epochs", str(step)])
        self.assertIn(f"goes on after step {step} of {step + 3}", done.stdout)
        self.assertNotIn("lock", os.listdir(self.path("run")))

    def test_named_holder(self):
        """Nothing of the folder is changed while another has it, whatever its lock says."""
        self.run_tool(SMALL + ["--steps", "2", "--out", "run"])
        for text, shown in ((b"process 7 on \x1b[2Jfar\nmore", "process 7 on ?[2Jfar is at work"),
                            (b"", "another process is at work")):
            with open(self.path("run", "lock"), "wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                lock.write(text)
                lock.flush()
                before = {n: read_bytes(self.path("run", n)) for n in os.listdir(self.path("run"))}
                self.refuse(["--resume", "run"], 1, shown)
                self.refuse(SMALL + ["--out", "run"], 1, shown)
                self.assertEqual(before, {n: read_bytes(self.path("run", n)) for n in os.listdir(self.path("run"))})
        self.run_tool(["--resume", "run"])  # what is left of a lock that nobody holds
        self.assertNotIn("lock", os.listdir(self.path("run")))

    def test_two_alike(self):
        """Of runs started together with one --out, one gets the folder."""
        runs = [self.start(SMALL + ["--steps", "30", "--seed", str(i), "--out", "run"]) for i in range(4)]
        codes = []
        for i, run in enumerate(runs):
            _, errors = run.communicate(timeout=60)
            codes.append(run.returncode)
            if run.returncode == 0:
                winner = i
            else:
                self.assertRegex(errors, r"process \d+ on .* is at work on the run|it holds a run already")
        self.assertEqual(sorted(codes), [0, 1, 1, 1])
        self.assertEqual(self.config("run")["seed"], str(winner))

    def test_default_folders(self):
        """Runs without --out that start in the same second get a folder each."""
        for i in range(3):
            runs = [self.start(SMALL + ["--steps", "1"]) for _ in range(4)]
            for run in runs:
                _, errors = run.communicate(timeout=60)
                self.assertEqual(run.returncode, 0, errors)
        self.assertEqual(len(os.listdir(self.path("runs"))), 12)

    def test_taken_names(self):
        """A name is taken by making the folder: one that only looks free, a link to nowhere, is passed over."""
        os.mkdir(self.path("runs"))
        now = time.time()
        for second in range(30):
            stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now + second))
            os.symlink("nowhere", self.path("runs", "mnistnet-" + stamp))
        done = self.run_tool(SMALL + ["--steps", "1"])
        self.assertRegex(done.stdout, r"run folder runs/mnistnet-\d{8}-\d{6}-1\n")


class Signals(Runs):
    def test_saves_and_ends(self):
        """HUP and XCPU as TERM: saved, 128 + number; a second one does not kill what is being saved."""
        for number in (signal.SIGHUP, signal.SIGXCPU):
            run = number.name
            process = self.start(SMALL + LONG + ["--save-every", "0", "--log-every", "1", "--out", run])
            self.wait_for_steps(run, process)
            process.send_signal(number)
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 128 + number, errors)
            (name,) = self.checkpoints(run)
            self.assertIn(f"'actc-train --resume {run}' goes on", errors)
            step = int(name[11:21])
            self.run_tool(["--resume", run, "--epochs", "100000", "--steps", str(step + 2)])
            self.assertEqual(len(self.checkpoints(run)), 2)

    def test_saves_and_goes_on(self):
        process = self.start(SMALL + LONG + ["--save-every", "0", "--log-every", "1", "--out", "run"])

        def is_caught():
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                caught = re.search(r"SigCgt:\s*(\w+)", status.read()).group(1)
            return int(caught, 16) >> (signal.SIGUSR1 - 1) & 1
        if os.path.exists("/proc/self/status"):
            self.wait_until(is_caught, process)
            process.send_signal(signal.SIGUSR1)  # while it is being prepared: asks for a checkpoint of the first step
            self.wait_until(lambda: os.path.exists(self.path("run")) and self.checkpoints("run"), process)
        for count in (1, 2):
            lines = read_bytes(self.path("run", "metrics.jsonl")).count(b"\n")
            self.wait_for_steps("run", process, lines + 2)
            before = self.checkpoints("run")
            process.send_signal(signal.SIGUSR1)
            self.wait_until(lambda: self.checkpoints("run") != before, process)
            newest = self.checkpoints("run")[-1]
            lines = read_bytes(self.path("run", "metrics.jsonl")).count(b"\n")
            self.wait_for_steps("run", process, lines + 5)  # goes on
            self.assertEqual(self.checkpoints("run")[-1], newest)
        process.kill()
        _, errors = process.communicate(timeout=60)
        self.assertRegex(errors, rf"saved after step {int(newest[11:21])}, as SIGUSR1 asked; goes on\n$")
        read_safetensors(self.path("run", newest))
        self.run_tool(["--resume", "run", "--steps", str(int(newest[11:21]) + 2)])

    def test_nothing_to_save(self):
        process = self.start(SMALL + LONG + ["--out", "none"])
        time.sleep(0.3)
        process.send_signal(signal.SIGUSR1)
        self.assertIn("--out none", process.stderr.readline())
        process.send_signal(signal.SIGHUP)
        self.assertEqual(process.wait(timeout=60), 129)

    def test_nohup(self):
        """A SIGHUP that was ignored at the start stays ignored."""
        process = self.start(SMALL + LONG + ["--save-every", "0", "--log-every", "1", "--out", "run"],
                             preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.wait_for_steps("run", process)
        process.send_signal(signal.SIGHUP)
        lines = read_bytes(self.path("run", "metrics.jsonl")).count(b"\n")
        self.wait_for_steps("run", process, lines + 10)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=60), 143)

    def test_processor_limit(self):
        """What `ulimit -S -t` sends is one of these."""
        process = self.start(SMALL + LONG + ["--save-every", "0", "--out", "run"],
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 20)))
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 152, errors)
        self.assertEqual(len(self.checkpoints("run")), 1)

    def test_terminal_goes_away(self):
        ours, its = pty.openpty()

        def in_terminal():
            default_signals()
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        process = subprocess.Popen([TOOL] + SMALL + LONG + ["--save-every", "0", "--log-every", "1", "--out", "run"],
                                   cwd=self.folder, stdin=its, stdout=its, stderr=its, preexec_fn=in_terminal)
        self.addCleanup(process.kill)
        os.close(its)
        self.wait_for_steps("run", process)
        os.close(ours)
        self.assertEqual(process.wait(timeout=60), 129)
        self.assertEqual(len(self.checkpoints("run")), 1)
        self.run_tool(["--resume", "run", "--steps", str(int(self.checkpoints("run")[0][11:21]) + 1)])

    def test_help(self):
        text = self.run_tool(["--help"]).stdout
        for words in ("129 HUP", "130 INT", "143 TERM", "152 XCPU", "USR1 saves and goes on"):
            self.assertIn(words, text)


def flip(path, back, bit=6):
    content = bytearray(read_bytes(path))
    content[-back] ^= 1 << bit
    write_bytes(path, content)


class Damage(Runs):
    def test_flipped_bits(self):
        """One bit of the newest checkpoint, in its values and in its header: said, and the one before is taken."""
        self.run_tool(SMALL + ["--steps", "10", "--save-every", "4", "--out", "whole"])
        newest = "checkpoint-0000000010.safetensors"
        size = len(read_bytes(self.path("whole", newest)))
        header = read_bytes(self.path("whole", newest))
        for back, bit in ((5000, 6), (1, 0), (size - header.index(b'"step":"10"') - 8, 0), (size - header.index(b'"F32"') - 2, 2)):
            with self.subTest(back=back):
                shutil.rmtree(self.path("run"), ignore_errors=True)
                shutil.copytree(self.path("whole"), self.path("run"))
                flip(self.path("run", newest), back, bit)
                done = self.run_tool(["--resume", "run"])
                self.assertRegex(done.stderr, rf"{newest} is damaged.*; an older checkpoint is taken")
                self.assertIn("goes on after step 8 of 10", done.stdout)
                for name in (newest, "model.safetensors"):
                    self.same_file(self.path("whole", name), self.path("run", name))

    def test_other_images(self):
        self.run_tool(SMALL + ["--steps", "2", "--out", "run"])
        config = self.config("run")
        self.assertRegex(config["training-data"], r"^320 images, crc32 [0-9a-f]{8}$")
        self.assertNotEqual(config["training-data"], config["test-data"])
        original = SMALL[SMALL.index("--data-dir") + 1]
        for name, key, change in (
            ("train-images-idx3-ubyte", "training-data", lambda b: b[:-400] + bytes([b[-400] ^ 1]) + b[-399:]),
            ("t10k-labels-idx1-ubyte", "test-data", lambda b: b[:-1] + bytes([(b[-1] + 1) % 10])),
        ):
            shutil.rmtree(self.path("other"), ignore_errors=True)
            shutil.copytree(original, self.path("other"))
            self.run_tool(["--resume", "run", "--data-dir", self.path("other")])  # the same, elsewhere
            write_bytes(self.path("other", name), change(read_bytes(self.path("other", name))))
            self.refuse(["--resume", "run", "--data-dir", self.path("other")], 1, f"its {key} are {config[key]}",
                        self.path("other"), "cannot go on with other images")
        for part, size in (("images-idx3", 784), ("labels-idx1", 1)):  # one fewer
            path = self.path("other", f"train-{part}-ubyte")
            content = read_bytes(os.path.join(original, f"train-{part}-ubyte"))
            write_bytes(path, content[:4] + struct.pack(">I", 319) + content[8:-size])
        self.refuse(["--resume", "run", "--data-dir", self.path("other")], 1, "are 320 images", "are 319 images")
        # by a folder of a release that did not keep it
        for key in ("training-data", "test-data", "run"):
            del config[key]
        write_bytes(self.path("run", "config.json"), json.dumps(config).encode())
        done = self.run_tool(["--resume", "run"])
        self.assertEqual(done.stderr.count("they are not checked"), 2)
        self.assertIn("run", self.config("run"))
        write_bytes(self.path("run", "config.json"), json.dumps({**config, "run": 1}).encode())
        self.refuse(["--resume", "run"], 1, "config.json is damaged", '"run"')

    def test_foreign_checkpoint(self):
        """A checkpoint of another run is refused, both being named; of a copy of the same run it is not."""
        name = "checkpoint-0000000002.safetensors"
        for seed in ("1", "2"):
            self.run_tool(SMALL + ["--steps", "2", "--seed", seed, "--out", "run" + seed])
        shutil.copytree(self.path("run1"), self.path("copy"))
        shutil.copy(self.path("run2", name), self.path("run1", name))
        self.refuse(["--resume", "run1"], 1, name, "seed=1", "seed=2")
        self.run_tool(["--resume", "copy", "--steps", "3"])
        # what may be changed later does not make another run of it
        self.run_tool(["--resume", "copy", "--steps", "4", "--lr", "0.1"])
        self.run_tool(["--resume", "copy", "--steps", "5"])
        self.assertIn("lr=0.001", self.config("copy")["run"])

    def test_without_checksum(self):
        """Of version 1: taken, and what cannot be seen of it is said."""
        self.run_tool(SMALL + ["--steps", "4", "--save-every", "2", "--out", "run"])
        self.run_tool(SMALL + ["--steps", "6", "--out", "whole"])
        path = self.path("run", "checkpoint-0000000004.safetensors")
        raw = read_bytes(path)
        (n,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8:8 + n])
        for key in ("checksum", "run", "accumulate"):
            del header["__metadata__"][key]
        header["__metadata__"]["version"] = "1"
        text = json.dumps(header).encode()
        write_bytes(path, struct.pack("<Q", len(text)) + text + raw[8 + n:])
        done = self.run_tool(["--resume", "run", "--steps", "6"])
        self.assertIn("version 1, which has no checksum", done.stderr)
        self.same_file(self.path("run", "model.safetensors"), self.path("whole", "model.safetensors"))

    def test_checksum(self):
        """By its description in src/io/checksum.c: of the metadata and of the tensors, whatever their order in the file."""
        self.run_tool(SMALL + ["--steps", "2", "--out", "run"])
        for name in ("checkpoint-0000000002.safetensors", "model.safetensors"):
            metadata, _ = read_safetensors(self.path("run", name))
            self.assertTrue(all(isinstance(value, str) for value in metadata.values()))
            raw = read_bytes(self.path("run", name))
            other = raw.replace(metadata["checksum"].encode(), b"otherone", 1)
            self.assertNotEqual(raw, other)
            self.assertEqual(raw, with_checksum(other))


class Accumulation(Runs):
    def test_fewer_batches(self):
        """An epoch of 20 batches with 21 to accumulate is one of 20 with 20: one update, with the mean over their true number."""
        for n in ("20", "21"):
            done = self.run_tool(SMALL + ["--epochs", "2", "--accumulate", n, "--out", n])
            self.assertEqual("20 batches an epoch are no multiple of --accumulate 21: an update with the mean of 20 ends each" in
                             done.stdout, n == "21")
            metadata, _ = read_safetensors(self.path(n, "checkpoint-0000000040.safetensors"))
            self.assertEqual((metadata["updates"], metadata["pending"]), ("2", "0"))
        self.same_file(self.path("20", "model.safetensors"), self.path("21", "model.safetensors"))
        done = self.run_tool(SMALL + ["--epochs", "2", "--accumulate", "21", "--out", "none", "--format", "json"])
        result = json.loads(done.stdout)
        self.assertEqual((result["steps"], result["updates"]), (40, 2))
        self.assertIn("no multiple of --accumulate 21", result["notes"][-1])

    def test_within_an_epoch(self):
        """A run that ends between two updates applies what it has, and goes on later as if it had never ended."""
        arguments = SMALL + ["--accumulate", "6"]
        done = self.run_tool(arguments + ["--steps", "27", "--out", "run"])
        self.assertIn("an update with the mean of 2 ends each", done.stdout)
        self.assertIn("the run ends within an epoch, at step 27: an update with the mean of 1 ends it", done.stdout)
        metadata, tensors = read_safetensors(self.path("run", "checkpoint-0000000027.safetensors"))
        self.assertEqual((metadata["updates"], metadata["pending"]), ("5", "1"))  # 3 and 1 of the first epoch, 1 of the second
        _, model = read_safetensors(self.path("run", "model.safetensors"))
        self.assertNotEqual(model["fc2.bias"], tensors["fc2.bias"])
        first = read_bytes(self.path("run", "model.safetensors"))
        done = self.run_tool(["--resume", "run"])  # complete: the same again
        self.assertEqual(first, read_bytes(self.path("run", "model.safetensors")))
        self.run_tool(["--resume", "run", "--steps", "45"])
        self.run_tool(arguments + ["--steps", "45", "--out", "whole"])
        for name in ("model.safetensors", "checkpoint-0000000045.safetensors"):
            self.same_file(self.path("whole", name), self.path("run", name))
        self.assertEqual(self.metrics("whole"), self.metrics("run"))

    def metrics(self, run):
        return super().metrics(self.path(run))


if __name__ == "__main__":
    unittest.main()
