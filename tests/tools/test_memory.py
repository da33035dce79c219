#!/usr/bin/env python3
"""Runs actc-memory as a user does.

  test_memory.py ACTC-MEMORY [unittest arguments]       needs Python 3 only
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

TOOL = os.path.abspath(sys.argv.pop(1))
RULES = ["--compress", "conv1,relu1,conv2=dct:lambda=10"]
SVG = "{http://www.w3.org/2000/svg}"
RELU1 = 128 * 16 * 26 * 26 * 4  # what conv2 saves of 128 samples
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def run_tool(arguments, code=0):
    done = subprocess.run([TOOL] + arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done


def run_json(arguments):
    return json.loads(run_tool(arguments + ["--format", "json"]).stdout)


class Json(unittest.TestCase):
    def check_sums(self, peak_bytes, after_forward_bytes, plan):
        self.assertEqual(sum(plan["peak"].values()), peak_bytes)
        live = [point["live_bytes"] for point in plan["timeline"]]
        self.assertLessEqual(max(live), peak_bytes)
        self.assertGreaterEqual(max(live), sum(plan["peak"].values()) - plan["peak"]["slack"])
        self.assertEqual(plan["timeline"][live.index(max(live))]["label"], plan["peak_at"])
        after = plan["after_forward"]
        counted = sum(after.values()) - after["gradients"] - after["optimizer"] - after["workspace"]
        self.assertEqual(after_forward_bytes, counted)
        phases = [point["phase"] for point in plan["timeline"]]
        self.assertEqual(phases, sorted(phases, key=["forward", "backward", "update"].index))
        self.assertEqual(set(phases), {"forward", "backward", "update"})

    def test_compressed(self):
        plan = run_json(["mnistnet"] + RULES)
        self.assertEqual((plan["network"], plan["batch"], plan["size"], plan["codec"]), ("mnistnet", 128, [28, 28], "dct:lambda=10"))
        self.check_sums(plan["peak_bytes"], plan["after_forward_bytes"], plan)
        self.check_sums(plan["peak_bytes_uncompressed"], plan["after_forward_bytes_uncompressed"], plan["uncompressed"])
        self.assertLess(plan["peak_bytes"], plan["peak_bytes_uncompressed"])
        # a payload and a bit a value instead of the map
        saved = plan["after_forward"]["payload"] + RELU1 // 32
        self.assertEqual(plan["after_forward_bytes_uncompressed"] - plan["after_forward_bytes"], RELU1 - saved)
        self.assertIn("nothing to compress: conv1 saves only a network input", plan["notes"])

    def test_uncompressed(self):
        plan = run_json(["mnistnet", "--batch", "3", "--compress", ""])
        self.assertEqual(plan, run_json(["mnistnet", "--batch", "3"]))
        self.assertEqual((plan["batch"], plan["codec"], plan["compress"]), (3, "none", ""))
        self.assertEqual(plan["peak_bytes"], plan["peak_bytes_uncompressed"])
        self.assertEqual(plan["after_forward_bytes"], plan["after_forward_bytes_uncompressed"])
        self.assertNotIn("uncompressed", plan)
        self.check_sums(plan["peak_bytes"], plan["after_forward_bytes"], plan)

    def test_codecs(self):
        """The codecs that something is kept by, each once."""
        plan = run_json(["mnistnet", "--compress", "*=dct:lambda=10;fc1=dct:lambda=100;fc2=dct:lambda=10"])
        self.assertEqual(plan["codec"], "dct:lambda=10; dct:lambda=100")

    def test_optimiser(self):
        """Plain SGD has no state, and the optimiser counts for nothing after the forward pass."""
        plans = {name: run_json(["mnistnet", "--optim", name]) for name in ("sgd", "adam", "adamw")}
        for name, regions in (("sgd", 0), ("adam", 2), ("adamw", 2)):
            self.assertEqual(plans[name]["peak"]["optimizer"], regions * plans[name]["peak"]["gradients"])
            self.assertEqual(plans[name]["after_forward_bytes"], plans["sgd"]["after_forward_bytes"])

    def test_device(self):
        """A device needs workspaces that the null device does not; what is saved is the same."""
        plan, null = run_json(["mnistnet", "--device", "cpu"] + RULES), run_json(["mnistnet"] + RULES)
        self.assertEqual(plan["device"], "cpu")
        self.assertGreater(plan["peak_bytes"], null["peak_bytes"])
        self.assertEqual(plan["after_forward_bytes"], null["after_forward_bytes"])

    def test_size(self):
        small, large = (run_json(["resnet18", "--batch", "2", "--size", size, "--classes", "10"]) for size in ("32,32", "64,64"))
        self.assertEqual((large["size"], large["classes"]), ([64, 64], 10))
        self.assertGreater(large["after_forward"]["kept_dense"], 3.9 * small["after_forward"]["kept_dense"])

    def test_larger_than_the_machine(self):
        self.assertGreater(run_json(["resnet152", "--batch", "4096"])["peak_bytes"], 100 << 30)


class Text(unittest.TestCase):
    def test_chart(self):
        for arguments, rows in ((["mnistnet"] + RULES, 10), (["resnet152", "--batch", "2", "--compress", "*=dct:lambda=100"], 30)):
            text = run_tool(arguments).stdout
            bars = re.findall(r"^ .* ([\d.]+) (\w+)  ([#.]{24})  (\S.*)$", text, re.M)
            self.assertTrue(rows <= len(bars) <= 40, text)
            chart = text[text.index("live bytes, "):].splitlines()
            self.assertEqual(len(chart), len(bars) + 1)
            self.assertLessEqual(max(map(len, chart)), 80)
            values = [float(number) * UNITS[unit] for number, unit, _, _ in bars]
            full = re.search(r"a full bar is ([\d.]+) (\w+)", text)
            full = float(full[1]) * UNITS[full[2]]
            for value, (_, _, bar, _) in zip(values, bars):
                self.assertLessEqual(abs(bar.count("#") - 24 * value / full), 0.5 + 24 * 0.01)
            peak = re.search(r"The plan peaks at (.*?);", text)[1]
            self.assertIn(bars[values.index(max(values))][3].rstrip("."), peak)

    def test_table(self):
        text, plan = run_tool(["mnistnet"] + RULES).stdout, run_json(["mnistnet"] + RULES)
        table = {words[0]: words[1:] for words in (re.split(r" {2,}", line.strip()) for line in text.splitlines()) if len(words) == 5}
        shown = lambda cell: float(cell.split()[0]) * UNITS[cell.split()[1]]  # noqa: E731
        columns = (plan["after_forward"], plan["uncompressed"]["after_forward"], plan["peak"], plan["uncompressed"]["peak"])
        for category in plan["after_forward"]:
            for cell, column in zip(table[category.replace("_", " ")], columns):
                self.assertAlmostEqual(shown(cell), column[category], delta=0.051 * UNITS[cell.split()[1]])
        self.assertAlmostEqual(shown(table["of them counted"][0]), plan["after_forward_bytes"], delta=0.051 * (1 << 20))
        self.assertAlmostEqual(shown(table["all"][3]), plan["peak_bytes_uncompressed"], delta=0.051 * (1 << 20))

    def test_markdown(self):
        text = run_tool(["mnistnet", "--format", "markdown"] + RULES).stdout
        rows = [line for line in text.splitlines() if line.startswith("|")]
        self.assertEqual(len(rows), 2 + 8 + 3)
        self.assertEqual({row.count("|") for row in rows}, {6})
        self.assertEqual({row.count("|") for row in run_tool(["mnistnet", "--format", "markdown"]).stdout.splitlines()
                          if row.startswith("|")}, {4})


class Plot(unittest.TestCase):
    def plot(self, arguments):
        with tempfile.TemporaryDirectory(prefix="actc-memory-") as folder:
            path = os.path.join(folder, "plan.svg")
            run_tool(arguments + ["--plot", path])
            return ElementTree.parse(path).getroot()

    def check(self, arguments, curves):
        root, plan = self.plot(arguments), run_json(arguments)
        width, height = (float(root.get(side)) for side in ("width", "height"))
        paths = root.findall(SVG + "path")
        self.assertEqual(len(paths), curves)
        texts = ["".join(text.itertext()) for text in root.iter(SVG + "text")]
        for word in ("command of the training step", "live memory / MiB", "forward", "backward"):
            self.assertIn(word, texts)
        steps = []
        for path in paths:
            x, y = re.findall(r"[H]([\d.]+)", path.get("d")), re.findall(r"V([\d.]+)", path.get("d"))
            self.assertEqual([float(v) for v in x], sorted(float(v) for v in x))
            self.assertTrue(all(0 <= float(v) <= width for v in x) and all(0 <= float(v) <= height for v in y))
            steps.append(len(x))
        self.assertEqual(steps[-1], len(plan["timeline"]))
        return texts

    def test_both_curves(self):
        texts = self.check(["mnistnet"] + RULES, 2)
        self.assertTrue(any(text.startswith(RULES[1] + ": ") for text in texts))
        self.assertTrue(any(text.startswith("without compression: ") for text in texts))

    def test_one_curve(self):
        self.check(["mnistnet"], 1)

    def test_odd_rules(self):
        """What XML would take for its own or does not know, and rules longer than the picture."""
        for rules, shown in ((b"conv[!<&>]=dct", "conv[!<&>]=dct: "), (b"conv[!\xff\x01]=dct", "conv[!??]=dct: "),
                             ("conv[!\u00e9\uffff]=dct".encode(), "conv[!\u00e9?]=dct: "),
                             (b";".join([b"*=dct:lambda=10"] * 20), "...: ")):
            root = self.plot(["mnistnet", "--compress", rules])
            self.assertEqual(len(root.findall(SVG + "path")), 2)
            self.assertTrue(any(shown in "".join(text.itertext()) for text in root.iter(SVG + "text")), rules)


class Refused(unittest.TestCase):
    def refuse(self, arguments, code, *texts):
        done = run_tool(arguments, code)
        self.assertEqual(done.stdout, "")
        for text in texts:
            self.assertIn(text, done.stderr)

    def test_usage(self):
        self.refuse([], 2, "no network is named", "mnistnet", "resnet18")
        self.refuse(["resnet19"], 2, "'resnet19'", "resnet18")
        self.refuse(["mnistnet", "resnet18"], 2, "'resnet18'")
        self.refuse(["mnistnet", "--batch", "0"], 2, "--batch 0", "1")
        self.refuse(["mnistnet", "--batch", "1048576"], 2, "--batch 1048576", "smaller batch")
        self.refuse(["mnistnet", "--size", "32,32"], 2, "--size 32,32")
        self.refuse(["resnet18", "--size", "32"], 2, "--size 32", "HEIGHT,WIDTH")
        self.refuse(["resnet18", "--size", "2,2", "--batch", "1"], 2, "--batch 1", "one value a channel")
        self.refuse(["mnistnet", "--classes", "11"], 2, "--classes 11", "10")
        self.refuse(["mnistnet", "--compress", "conv9=dct"], 2, "--compress", "'conv9'", "conv1")
        self.refuse(["mnistnet", "--compress", "conv1=zip"], 2, "--compress", '"zip"', "dct")
        self.refuse(["mnistnet", "--optim", "lion"], 2, "--optim lion", "adam|adamw|sgd")
        self.refuse(["mnistnet", "--device", "abacus"], 2, "--device", "'abacus'", "cpu")
        self.refuse(["mnistnet", "--format", "yaml"], 2, "yaml", "text|json|markdown")
        self.refuse(["mnistnet", "--plot", ""], 2, "--plot")

    def test_plot_cannot_be_written(self):
        self.refuse(["mnistnet", "--plot", "/nonexistent/plan.svg"], 1, "--plot /nonexistent/plan.svg", "No such file")
        self.refuse(["mnistnet", "--plot", "/dev/full"], 1, "--plot /dev/full", "No space left")


if __name__ == "__main__":
    unittest.main()
