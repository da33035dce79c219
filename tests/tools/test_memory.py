#!/usr/bin/env python3
"""Runs actc-memory as a user does.

  test_memory.py ACTC-MEMORY [unittest arguments]       needs Python 3 only
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

TOOL = os.path.abspath(sys.argv.pop(1))
RULES = ["--compress", "conv1,relu1,conv2=dct:lambda=10"]
DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"
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


# What the reference has allocated, MiB, counted by hand from its code: without compression, what its layers do not save, and by
# layer set with the blocks up to each compressed
REFERENCE = {
    ("resnet18", 128, 32): (616.7, 132.6, {"BN": [586, 461, 399, 368, 353], "Conv+BN": [586, 465, 406, 376, 361],
                                           "Conv+BN+ReLU": [587, 342, 236, 183, 157]}),
    ("resnet18", 512, 32): (2338.1, 402.0, {}),
    ("resnet18", 128, 64): (2338.5, 402.5, {}),
    ("resnet152star", 128, 32): (2411.2, 311.0, {"Conv+BN+ReLU": [2381, 2014, 1542, 450, 408]}),
    ("resnet152", 128, 32): (6986.3, 737.7, {"Conv+BN+ReLU": [6956, 5981, 4488, 1175, 1031]}),
    ("wideresnet101", 128, 32): (6816.6, 992.1, {"Conv+BN+ReLU": [4880, 3924, 3189, 1304, 1266]}),
    ("unet3d", 1, 96): (1599.7, 434.4, {"BN": [1181, 1076, 1050, 1043], "Conv+BN": [978, 809, 767, 756],
                                        "Conv+BN+ReLU": [775, 555, 500, 487]}),
    ("unet3d", 2, 96): (3113.1, 782.7, {}),
    ("unet3d", 1, 128): (3673.7, 911.7, {}),
    ("vit", 256, 256): (5802.9, None, {}), # by hooks on PyTorch's layers 5932.9, of which 130 MiB are the last norm's of all tokens
    ("vit3d", 32, 16): (6916.6, None, {}),
}
# After the forward pass, MiB: at most this with every block of Conv+BN+ReLU, and with every layer
MOST = {("resnet18", 128, 32): (150, 75), ("resnet152star", 128, 32): (400, 300), ("unet3d", 1, 96): (310, 180),
        ("vit", 256, 256): (None, 460), ("vit3d", 32, 16): (None, 300)}
# Of the table of methods: allocated without compression, and what the reference's layers do not save, counted by hooks on PyTorch's layers
METHODS = {"unet3d": (1599.7, 434.4), "efficientnet_b0": (2005.4, 39.1), "efficientnet_b4": (1851.0, 48.7), "efficientnet_b8": (1752.2, 78.6),
           "deeplabv3plus": (2707.1, 317.2), "edsr": (942.0, 166.2)}
# After the forward pass, MiB: at most this with every layer at lambda=100
MOST_OF_METHODS = {"efficientnet_b0": 105, "efficientnet_b8": 135, "deeplabv3plus": 125, "edsr": 190}


class Table(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = run_json(["--table", "2"])
        cls.rows = {(*cls.key(row), row["layers"], row["blocks"]): row for row in cls.table["rows"]}

    @staticmethod
    def key(row):
        return row["network"], row["batch"], row["size"][0]

    def within(self, value, expected, what, most=0.01):
        self.assertLessEqual(abs(value / expected - 1), most, (what, value, expected))

    def test_recomputed(self):
        self.assertEqual({self.key(network) for network in self.table["networks"]}, set(REFERENCE))
        for network in self.table["networks"]:
            baseline, others, _ = REFERENCE[self.key(network)]
            self.within(network["recomputed_mib"], baseline, network)
            if others:
                self.within(network["recomputed_others_mib"], others, network)
        for key, (_, _, sets) in REFERENCE.items():
            for layers, expected in sets.items():
                for blocks, mib in enumerate(expected, 1):
                    self.within(self.rows[(*key, layers, blocks)]["recomputed_mib"], mib, (key, layers, blocks))

    def test_published_bn(self):
        """No map of these rows is compressed twice, so the paper's own numbers hold, but for what an allocator rounds up; the
        U-Net's have an int64 target beside."""
        for row in self.table["rows"]:
            if row["layers"] == "BN":
                target = row["batch"] * 3 * row["size"][0] ** 3 * 8 / 2 ** 20 if row["network"] == "unet3d" else 0
                self.within(row["recomputed_mib"] + target, row["published_mib"], row, 0.015)

    def test_keys(self):
        self.assertEqual(len(self.rows), len(self.table["rows"]))
        for key in REFERENCE:
            blocks = 4 if key[0] == "unet3d" else 5
            sets = ("Attn+FF",) if key[0].startswith("vit") else ("BN", "Conv+BN", "Conv+BN+ReLU")
            expected = {(layers, n + 1) for layers in sets for n in range(blocks)} | {("all", blocks)}
            self.assertEqual({row[3:] for row in self.rows if row[:3] == key}, expected)
        for row in self.table["rows"]:
            self.assertEqual(set(row), {"network", "batch", "size", "layers", "blocks", "codec", "compress", "published_mib",
                                        "recomputed_mib", "after_forward_bytes", "peak_bytes", "peak_bytes_uncompressed"})
            self.assertEqual(row["published_mib"] is None, row["layers"] == "all")
            self.assertEqual(row["recomputed_mib"] is None, row["layers"] == "all")
            self.assertEqual(row["codec"], "dct:lambda=100")
            self.assertLess(row["peak_bytes"], row["peak_bytes_uncompressed"])

    def test_ours(self):
        for key, bounds in MOST.items():
            blocks = 4 if key[0] == "unet3d" else 5
            for layers, most in zip(("Conv+BN+ReLU", "all"), bounds):
                if most is None:
                    continue
                self.assertLessEqual(self.rows[(*key, layers, blocks)]["after_forward_bytes"], most * 2 ** 20)
        self.assertLessEqual(self.rows[("unet3d", 1, 96, "all", 4)]["peak_bytes"], 750 * 2 ** 20)

    def test_single_network(self):
        """The same network, batch and rules planned alone: the same object."""
        for key in (("resnet18", 128, 32, "Conv+BN", 3), ("unet3d", 1, 96, "BN", 2), ("wideresnet101", 128, 32, "BN", 1)):
            row = self.rows[key]
            plan = run_json([row["network"], "--batch", str(row["batch"]), "--optim", "sgd", "--compress", row["compress"]])
            self.assertEqual({name: plan[name] for name in row}, row)
        plan = run_json(["resnet18", "--optim", "sgd"])
        self.assertEqual((plan["layers"], plan["blocks"], plan["published_mib"]), (None, 0, 617))
        self.within(plan["recomputed_mib"], 616.7, "resnet18")
        plan = run_json(["resnet18", "--optim", "sgd", "--compress", "*=dct:lambda=100"])
        self.assertEqual({name: plan[name] for name in row}, self.rows[("resnet18", 128, 32, "all", 5)])
        for rules in (["--batch", "64"], ["--classes", "10"], ["--net-option", "width=32"], RULES[:1] + ["conv1=dct:lambda=100"]):
            plan = run_json(["resnet18"] + rules)
            self.assertEqual((plan["published_mib"], plan["recomputed_mib"]), (None, None), rules)

    def test_text(self):
        for form, split in (("text", None), ("markdown", "|")):
            text = run_tool(["resnet18", "--table", "2", "--format", form]).stdout
            cells = [[cell.strip() for cell in line.strip("| ").split(split)] for line in text.splitlines()]
            rows = [row for row in cells if len(row) == 6 and row[0] in ("BN", "Conv+BN", "Conv+BN+ReLU", "all")]
            self.assertEqual(len(rows), 3 * 16)
            for shown, (row_key, row) in zip(rows, ((k, r) for k, r in self.rows.items() if k[0] == "resnet18")):
                self.assertEqual(shown[:2], [row["layers"], str(row["blocks"])])
                expected = [row["published_mib"], row["recomputed_mib"], row["after_forward_bytes"] / 2 ** 20,
                            row["peak_bytes"] / 2 ** 20]
                for cell, value in zip(shown[2:], expected):
                    self.assertEqual(cell == "-", value is None)
                    if value is not None:
                        self.assertAlmostEqual(float(cell), value, delta=0.051)


class Methods(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = run_json(["--table", "3"])

    def test_recomputed(self):
        """Without compression as counted; where lambda is not 1 and not all is others, the published numbers hold within 2 %."""
        others = {network["network"]: network["recomputed_others_mib"] for network in self.table["networks"]}
        self.assertEqual(set(others), set(METHODS))
        for row in self.table["rows"]:
            baseline, expected = METHODS[row["network"]]
            self.assertLessEqual(abs(others[row["network"]] / expected - 1), 0.02, row["network"])
            if row["method"] == "none":
                self.assertLessEqual(abs(row["recomputed_mib"] / baseline - 1), 0.01, row)
            published = row["published_mib"]
            if row["method"] in ("DCT, lambda=10", "DCT, lambda=100", "DCT, lambda=1000") and published and row["network"] != "unet3d":
                self.assertLessEqual(abs(row["recomputed_mib"] / published - 1), 0.026, row)

    def test_ours(self):
        uncompressed = {}
        for row in self.table["rows"]:
            if "compress" not in row:
                self.assertTrue(row["method"].startswith("WCC"))
                continue
            most = uncompressed.setdefault(row["network"], row)
            self.assertLessEqual(row["after_forward_bytes"], most["after_forward_bytes"], row)
            self.assertLessEqual(row["peak_bytes"], most["peak_bytes"], row)
            self.assertEqual(row["recompute_percent"] > 0, "recompute" in row["compress"])
            if row["compress"] == "*=dct:lambda=100" and row["network"] in MOST_OF_METHODS:
                self.assertLessEqual(row["after_forward_bytes"], MOST_OF_METHODS[row["network"]] * 2 ** 20, row)

    def test_document(self):
        """docs/tables.md is what the tool prints."""
        printed = run_tool(["--table", "all", "--markdown", "--times", str(DOCS / "table-times.json")]).stdout
        self.assertEqual((DOCS / "tables.md").read_text(), printed)


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

    def test_table(self):
        self.refuse(["--table", "4"], 2, "--table", "4", "2|3|all")
        self.refuse(["--table", "all", "--format", "json"], 2, "--table all and --format json")
        self.refuse(["--table", "2", "--times", "t.json"], 2, "--times and --table 2")
        self.refuse(["mnistnet", "--times", "t.json"], 2, "--times is for --table 3")
        self.refuse(["--table", "3", "--times", "/nonexistent/t.json"], 1, "/nonexistent/t.json", "No such file")
        self.refuse(["--table", "3", "--times", __file__], 1, "test_memory.py", "measure-methods.py")
        self.refuse(["mnistnet", "--table", "3"], 2, "--table 3", "mnistnet", "edsr")
        self.refuse(["--table", "2", "--batch", "64"], 2, "--table and --batch", "--device", "--format")
        self.refuse(["resnet18", "--table", "2", "--compress", "*=dct"], 2, "--table and --compress")
        self.refuse(["--table", "2", "--plot", "t.svg"], 2, "--table and --plot")
        self.refuse(["resnet19", "--table", "2"], 2, "'resnet19'", "resnet18")
        self.refuse(["mnistnet", "--table", "2"], 2, "--table 2", "mnistnet", "resnet18")

    def test_plot_cannot_be_written(self):
        self.refuse(["mnistnet", "--plot", "/nonexistent/plan.svg"], 1, "--plot /nonexistent/plan.svg", "No such file")
        self.refuse(["mnistnet", "--plot", "/dev/full"], 1, "--plot /dev/full", "No space left")


if __name__ == "__main__":
    unittest.main()
