#!/usr/bin/env python3
"""What people and scripts see of the tools: the bar on narrow and dumb terminals, names with odd characters, numbers as written, help.

  test_terminal.py ACTC-TRAIN TOOL... [-- unittest arguments]     the other tools are asked for their help alone

Data, sizes and helpers are those of test_train.py.
"""
import fcntl
import json
import os
import pty
import re
import resource
import shutil
import struct
import subprocess
import sys
import termios
import unittest

END = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
TOOLS = [os.path.abspath(a) for a in sys.argv[1:END]]
del sys.argv[2:END + 1]
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

from test_train import SMALL, TOOL, Case, setUpModule  # noqa: E402,F401


def on_terminal(columns, term, command, cwd, limit=None):
    """What the command writes to a pseudo-terminal that wide."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.environ["TERM"] = term
        os.environ.pop("COLUMNS", None)
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        os.execvp(command[0], command)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    out = b""
    try:
        while block := os.read(fd, 65536):
            out += block
    except OSError:
        pass
    os.close(fd)
    os.waitpid(pid, 0)
    return out.decode(errors="replace")


class Bar(Case):
    def run_in(self, columns, term):
        return on_terminal(columns, term, [TOOL] + SMALL + ["--epochs", "4", "--out", "none"], self.folder)

    def bars(self, text):
        plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", p) for p in re.split(r"[\r\n]", text)]
        return [p for p in plain if re.search(r"\d %", p) and "epoch   " not in p and "accuracy" not in p]

    def test_narrow(self):
        for columns in (12, 40, 60, 200):
            bars = self.bars(self.run_in(columns, "xterm"))
            self.assertTrue(bars)
            self.assertLess(max(map(len, bars)), columns)

    def test_dumb(self):
        for term in ("dumb", ""):
            text = self.run_in(80, term)
            self.assertTrue(self.bars(text))
            self.assertNotIn("\x1b", text)

    def test_error_has_its_line(self):
        text = on_terminal(80, "xterm", [TOOL] + SMALL + ["--epochs", "2", "--out", "run"], self.folder, limit=1 << 20)
        self.assertRegex(text, r"(\n|\x1b\[K)actc-train: cannot write run/")


class Names(Case):
    def test_control_characters(self):
        names = ((b"a\x1b[31m\nb\t\r", r"a\x1b[31m\nb\t\r"), (b"c\xc2\x9b\x7f", r"c\xc2\x9b\x7f"), (b"\x9b1m\xff", r"\x9b1m\xff"),
                 (b"\xe2\x80\xaeb", r"\xe2\x80\xaeb"), (b"\xed\xa0\x80", r"\xed\xa0\x80"), ("é€😀".encode(), "é€😀"))
        for name, shown in names:
            done = subprocess.run([TOOL, "--resume", name], cwd=self.folder, capture_output=True)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr.decode("utf-8", "strict"),
                             f"actc-train: --resume {shown}: it holds no run: config.json cannot be read: No such file or directory\n")
        done = self.run_tool(SMALL + ["--steps", "1", "--out", "a\x1b[31m\nb"], 0)
        self.assertIn("run folder a\\x1b[31m\\nb\n", done.stdout)

    def test_no_utf8(self):
        """A data folder and a run folder with bytes that are no UTF-8: JSON stays JSON, and the run can go on."""
        data, out = os.fsencode(self.folder) + b"/data\xff\xfe", os.fsencode(self.folder) + b"/run\xe9"
        shutil.copytree(os.fsencode(SMALL[SMALL.index("--data-dir") + 1]), data)
        rest = [a for i, a in enumerate(SMALL) if a != "--data-dir" and SMALL[i - 1] != "--data-dir"]
        done = subprocess.run([TOOL] + rest + ["--data-dir", data, "--out", out, "--epochs", "1", "--format", "json"],
                              capture_output=True, check=True)
        self.assertIn("run\ufffd", json.loads(done.stdout.decode("utf-8", "strict"))["out"])
        with open(out + b"/config.json", "rb") as file:
            config = json.loads(file.read().decode("utf-8", "strict"))
        self.assertEqual(bytes.fromhex(config["data-dir"]["bytes"]), data)
        done = subprocess.run([TOOL, "--resume", out, "--epochs", "2"], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_data_from_elsewhere(self):
        """A relative --data-dir is kept as it was meant: the run goes on from another folder."""
        data = SMALL[SMALL.index("--data-dir") + 1]
        shutil.copytree(data, self.path("images"))
        rest = [a for i, a in enumerate(SMALL) if a != "--data-dir" and SMALL[i - 1] != "--data-dir"]
        self.run_tool(rest + ["--data-dir", "images", "--epochs", "1", "--out", "run"], 0)
        done = subprocess.run([TOOL, "--resume", self.path("run"), "--epochs", "2"], cwd="/", capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        shutil.rmtree(self.path("images"))
        done = subprocess.run([TOOL, "--resume", self.path("run"), "--epochs", "3"], cwd="/", capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"in {self.path('images')}", done.stderr)
        self.assertIn(f"has its data in {self.path('images')}; --data-dir DIR says", done.stderr)
        self.run_tool(["--resume", "run", "--epochs", "3", "--data-dir", data], 0)
        self.run_tool(["--resume", "run", "--epochs", "4"], 0)

    def test_no_regular_files(self):
        for name, arguments in (("config.json", ["--resume", "run"]), ("config.json", SMALL + ["--out", "run"]),
                                ("metrics.jsonl", ["--resume", "run"]), ("checkpoint-0000000001.safetensors", ["--resume", "run"])):
            for make, word in ((os.mkdir, "it is a folder"), (os.mkfifo, "no regular file")):
                self.run_tool(SMALL + ["--steps", "1", "--out", "run"], 0)
                os.unlink(self.path("run", name))
                make(self.path("run", name))
                done = self.run_tool(arguments, 1)
                self.assertIn(name, done.stderr)
                self.assertIn(word, done.stderr)
                shutil.rmtree(self.path("run"))


class Values(Case):
    def test_numbers(self):
        for option, text in (("--seed", " -1"), ("--seed", "-1"), ("--seed", "0x10"), ("--seed", "1e3"), ("--seed", "18446744073709551616"),
                             ("--seed", ""), ("--lr", "1e-400"), ("--lr", "1e-50"), ("--lr", " 0.1"), ("--lr", "+0.1"), ("--lr", "0x1p-3"),
                             ("--lr", "inf"), ("--lr", "nan"), ("--lr", "1e"), ("--lr", "."), ("--batch", "1e2"), ("--batch", " 16"),
                             ("--batch", "16 "), ("--batch", "99999999999999999999"), ("--epochs", "0x2"), ("--epochs", "+2"), ("--threads", "1e-400"), ("--lr", "1e400")):
            done = self.run_tool(SMALL + ["--epochs", "1", "--out", "none", option, text], 2)
            self.assertIn(option, done.stderr)

    def test_seed_is_decimal(self):
        self.run_tool(SMALL + ["--steps", "1", "--out", "a", "--seed", "010"], 0)
        with open(self.path("a/config.json")) as file:
            self.assertEqual(json.load(file)["seed"], "10")

    def test_optimiser_keys(self):
        for spec, word in (("sgd:momentum=0.9,momentum=0.8", "given twice"), ("sgd:momentum= 0.9", "momentum"), ("adam:eps=0x1", "eps")):
            self.assertIn(word, self.run_tool(SMALL + ["--out", "none", "--optim", spec], 2).stderr)

    def test_null_device(self):
        done = self.run_tool(SMALL + ["--out", "none", "--device", "null"], 2)
        self.assertIn("computes nothing", done.stderr)


class Help(unittest.TestCase):
    def test_columns(self):
        for tool in TOOLS:
            text = subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout
            self.assertEqual([line for line in text.splitlines() if len(line) > 80], [], tool)
            self.assertIn("Examples:", text)

    def test_scripts(self):
        """Nothing is installed or built before the arguments are known to be right."""
        for script, wrong in (("quickstart.sh", (["--nonsense"], ["tpu"], ["null"], ["vulkan:"], ["cpu", "cpu"])),
                              ("test.sh", (["--nonsense"], ["--sanitize", "x"], ["--long", "--sanitize"], ["x"]))):
            for arguments, code in [(["--help"], 0), (["-h"], 0)] + [(a, 2) for a in wrong]:
                done = subprocess.run(["sh", os.path.join(SOURCE, "tools", script)] + arguments, capture_output=True, text=True, cwd="/")
                self.assertEqual(done.returncode, code, arguments)
                text, empty = (done.stderr, done.stdout) if code else (done.stdout, done.stderr)
                self.assertIn("sh tools/" + script, text)
                self.assertEqual(empty, "")
                self.assertEqual([line for line in text.splitlines() if len(line) > 80], [])


if __name__ == "__main__":
    unittest.main()
