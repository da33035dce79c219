#!/usr/bin/env python3
"""Runs actc-parity as a user does.

  test_parity.py ACTC-PARITY BACKENDS KERNELS.DEF [unittest arguments]       needs Python 3 only

BACKENDS: what --backends takes, one or two names, of which the first is cpu.
"""
import copy
import gzip
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import unittest

PARITY, BACKENDS, KERNELS = os.path.abspath(sys.argv.pop(1)), sys.argv.pop(1), sys.argv.pop(1)
# One case of each kind that is quick everywhere.
FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle", "fixtures")
ORACLE = os.path.join(FIXTURES, "parity_step.safetensors")
FEW = ["relu_fwd(n=257,fill=equal)", "gemm(m=17,n=15,k=33,ta=0,tb=0,add=0,bias=1,fill=tiny)", "operator.linear(n=4,in=13,out=7)",
       "operator_exact.relu(n=5,f=259)"]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = os.path.join(folder.name, "record.json")

    def parity(self, *arguments, code=0, env=None):
        done = subprocess.run([PARITY, *arguments], capture_output=True, text=True, timeout=500, env={**os.environ, **(env or {})})
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def refuse(self, code, arguments, *texts):
        done = self.parity(*arguments, code=code)
        for text in texts:
            self.assertIn(text, done.stderr)

    def record(self, glob, *arguments):
        self.parity("--backends", "cpu", "-k", glob, "--record", self.file, *arguments)
        with open(self.file) as file:
            return json.load(file)

    def write(self, record):
        with open(self.file, "w") as file:
            json.dump(record, file)


class Words(Case):
    def test_help(self):
        text = self.parity("--help").stdout
        for option in ("--backends", "--suite", "-k, --filter", "--seed", "--list", "--bench", "--record", "--against", "--format",
                       "--threads", "--oracle", "--deterministic", "--validate", "--help", "--version", "Examples:", "77"):
            self.assertIn(option, text)
        self.assertRegex(self.parity("--version").stdout, r"^actc-parity \(actc\) \d")

    def test_usage(self):
        self.refuse(2, ["--suite", "some"], "some", "smoke|full")
        self.refuse(2, ["--seed", "x"], "--seed x")
        self.refuse(2, ["-k"], "--filter needs a value")
        self.refuse(2, ["-x"], "-x")
        self.refuse(2, ["word"], "'word'")
        self.refuse(2, ["--backends", "cpu", "-k", "no_such_case*"], "no_such_case*", "--list")
        self.refuse(2, ["--backends", "abacus"], "'abacus'", "cpu")
        self.refuse(2, ["--backends", "cpu,,cpu"], "names with commas")
        self.refuse(2, ["--backends", "cpu,cpu"], "cpu is named twice")
        self.refuse(2, ["--backends", "cpu,null"], "'null'")
        self.refuse(2, ["--against", "x", "--seed", "3"], "--against", "--seed")
        self.refuse(1, ["--against", "/no/such/file"], "/no/such/file", "No such file")
        self.refuse(1, ["--backends", "cpu", "--record", "/no/such/folder/file"], "/no/such/folder/file")

    def test_absent_device(self):
        self.refuse(77, ["--backends", "cpu,vulkan:no such card"], "no such card")
        result = json.loads(self.parity("--backends", "cpu,vulkan:no such card", "--format", "json", code=77).stdout)
        (skipped,) = result["skipped"]
        self.assertEqual(skipped["backend"], "vulkan:no such card")
        self.assertNotEqual(skipped["reason"], "")
        self.refuse(77, ["--backends", "cpu"], "nothing to compare", "--against")


class List(Case):
    def cases(self, suite):
        return json.loads(self.parity("--list", "--suite", suite, "--format", "json").stdout)["cases"]

    def test_every_kernel(self):
        with open(KERNELS) as file:
            wanted = set(re.findall(r"^ACTC_(?:KERNEL|VARIANT)\((\w+)", file.read(), re.MULTILINE))
        self.assertGreater(len(wanted), 30)
        smoke = {c["kernel"] for c in self.cases("smoke")} - {None}
        self.assertEqual(smoke, wanted)

    def test_names(self):
        smoke, full = self.cases("smoke"), self.cases("full")
        names = [c["name"] for c in full]
        self.assertEqual(len(set(names)), len(names))
        self.assertGreaterEqual(len(smoke), 400)
        self.assertGreater(len(full), 1.5 * len(smoke))
        self.assertLess({c["name"] for c in smoke}, set(names))
        self.assertEqual({c["suite"] for c in smoke}, {"smoke"})
        self.assertLessEqual({"kernel", "operator", "codec"}, {c["level"] for c in smoke})
        self.assertEqual({c["class"] for c in smoke}, {"EXACT", "TOLERANT"})
        for name in names:
            self.assertRegex(name, r"^[\w.]+\(\S+\)$")
        text = self.parity("--list", "--suite", "full").stdout.split("\n")[:-1]
        self.assertEqual(text, names)
        for name in FEW:
            self.assertIn(name, names)

    def test_filter(self):
        text = self.parity("--list", "-k", "gemm(m=64*").stdout
        self.assertEqual(len(text.splitlines()), 4)
        self.assertTrue(all(line.startswith("gemm(m=64,") for line in text.splitlines()))


class Run(Case):
    def test_json(self):
        result = json.loads(self.parity("--backends", BACKENDS, "-k", "*(n=*7*", "--record", self.file, "--format", "json").stdout)
        names = BACKENDS.split(",")
        self.assertEqual([b["name"] for b in result["backends"]], names)
        self.assertEqual([b["reference"] for b in result["backends"]], [True, False][:len(names)])
        for b in result["backends"]:
            for key in ("device", "device_name", "driver", "exact_evidence"):
                self.assertNotEqual(b[key], "")
        self.assertEqual((result["failed"], result["skipped"], result["suite"], result["seed"]), ([], [], "smoke", 1))
        self.assertGreater(len(result["cases"]), 30)
        measured = 0
        for c in result["cases"]:
            self.assertIn(c["level"], ("kernel", "operator", "codec", "step", "training"))
            self.assertEqual(set(c["backends"]), set(names))
            for b in c["backends"].values():
                self.assertEqual(b["status"], "passed")
                self.assertGreaterEqual(b["seconds"], 0)
                if "worst" in b:
                    measured += 1
                    self.assertEqual(c["class"], "TOLERANT")
                    self.assertTrue(0 <= b["worst"] <= 1)
        self.assertGreater(measured, 0)

    def test_text(self):
        for glob in FEW:
            text = self.parity("--backends", BACKENDS, "-k", glob, "--record", self.file).stdout
            self.assertIn("1 cases, 0 failures, seed 1, suite smoke", text)
            for backend in BACKENDS.split(","):
                self.assertRegex(text, rf"{re.escape(backend)} +1 +0 +0 ")

    def test_seed_and_filter(self):
        whole = {c["name"]: c["outputs"] for c in self.record("relu_bwd_value(n=*")["cases"]}
        self.assertGreater(len(whole), 30)
        name = "relu_bwd_value(n=1009,fill=tiny)"
        (alone,) = self.record(name)["cases"]
        self.assertEqual(alone["outputs"], whole[name])  # a filter changes nothing
        other = self.record(name, "--seed", "2")
        self.assertNotEqual(other["cases"][0]["outputs"], whole[name])
        self.assertEqual(other["seed"], "2")

    def test_bench(self):
        done = self.parity("--backends", BACKENDS, "-k", "gemm(m=16,*", "--bench", "--record", self.file, "--format", "json")
        result = json.loads(done.stdout)
        for b in result["backends"]:
            self.assertGreater(b["copy_gb_s"], 0)
        for c in result["cases"]:
            for name, b in c["backends"].items():
                bench = b["bench"]
                (copy_gb_s,) = [d["copy_gb_s"] for d in result["backends"] if d["name"] == name]
                self.assertGreater(bench["seconds"], 0)
                self.assertAlmostEqual(bench["gb_s"] / bench["of_copy"] / copy_gb_s, 1, places=6)
                self.assertAlmostEqual(bench["gflop_s"] * bench["seconds"] * 1e9, 2 * 16 ** 3, places=3)
        # what updates its own input, and may not be given what it left there
        self.parity("--backends", BACKENDS, "-k", "codec_select(codec=threshold:lambda=10*", "--bench")
        text = self.parity("--backends", "cpu", "-k", "relu_fwd(n=20011*", "--bench").stdout
        self.assertIn("copies at", text)
        self.assertIn("of copy", text)


class Record(Case):
    def against(self, code, *arguments):
        return self.parity("--backends", BACKENDS, "--against", self.file, *arguments, code=code)

    def doctored(self, record, change):
        other = copy.deepcopy(record)
        change(other["cases"])
        self.write(other)

    def test_round_trip(self):
        record = self.record("*=equal*", "--seed", "77")
        self.assertGreater(len(record["cases"]), 20)
        self.assertEqual((record["seed"], record["suite"], record["device"]["backend"]), ("77", "smoke", "cpu"))
        for key in ("device_name", "driver", "exact_evidence"):
            self.assertNotEqual(record["device"][key], "")
        self.assertRegex(record["actc"], r"^\d+\.\d+")
        text = self.against(0, "-k", "*=equal*").stdout
        self.assertIn(f"{len(record['cases'])} cases, 0 failures, seed 77", text)

    def test_gzipped(self):
        self.record("*=equal*")
        plain, zipped = self.file, self.file + ".gz"
        self.parity("--backends", "cpu", "-k", "*=equal*", "--record", zipped)
        with gzip.open(zipped) as file, open(plain, "rb") as other:
            self.assertEqual(file.read(), other.read())
        self.file = zipped
        self.assertIn(" 0 failures", self.against(0, "-k", "*=equal*").stdout)
        forget = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "parity", "recorded", "forget.py")
        for code in (0, 1):  # the second time there is none
            done = subprocess.run([sys.executable, forget, zipped, "relu_fwd(*"], capture_output=True, text=True)
            self.assertEqual(done.returncode, code, done.stderr)
        text = self.against(0, "-k", "*=equal*").stdout
        self.assertRegex(text, r"skipped relu_fwd\(.* has no such case")
        with open(zipped, "rb") as file:
            whole = file.read()
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 0x55
        for data in (whole[:len(whole) // 2], bytes(damaged)):
            with open(zipped, "wb") as file:
                file.write(data)
            self.refuse(1, ["--backends", "cpu", "--against", zipped], zipped)
        for name in ("/dev/full", os.path.join(self.file, "no-folder")):
            self.refuse(1, ["--backends", "cpu", "-k", "*=equal*", "--record", name], name)

    def test_instruction_sets_and_threads(self):
        """Every EXACT case has one result, whatever the CPU backend computes it with."""
        self.parity("--backends", "cpu", "--threads", "1", "--record", self.file, env={"ACTC_CPU_ISA": "baseline"})
        done = self.parity("--backends", "cpu", "--threads", "3", "--against", self.file, "--format", "json")
        cases = json.loads(done.stdout)["cases"]
        passed = [c for c in cases if c["backends"]["cpu"]["status"] == "passed"]
        self.assertGreater(len(passed), 1000)
        for c in cases:
            if c not in passed:
                self.assertIn("beside it only", c["backends"]["cpu"]["reason"])

    def test_local_cases(self):
        """What starts from the reference's fast mode is neither recorded nor compared with a record."""
        name = "mnistnet.saved(codec=dct:lambda=10,batch=16,steps=3)"
        self.refuse(77, ["--backends", "cpu", "-k", name, "--record", self.file], "nothing was compared")
        with open(self.file) as file:
            self.assertEqual(json.load(file)["cases"], [])
        if "," in BACKENDS:
            self.assertIn("1 cases, 0 failures", self.against(0, "-k", name).stdout)

    def fails(self, name, *texts):
        done = self.against(1, "-k", name)
        self.assertIn("FAILED " + name, done.stdout)
        for text in texts:
            self.assertIn(text, done.stdout)
        return done.stdout

    def test_doctored_exact(self):
        name = "relu_fwd(n=257,fill=equal)"
        record = self.record(name)

        def hash_of(cases):
            cases[0]["outputs"][0]["hash"] = "0123456789abcdef"

        self.doctored(record, hash_of)
        text = self.fails(name, "0123456789abcdef", "--against")
        # the command that is printed fails in the same way
        command = shlex.split(text.split("FAILED")[1].splitlines()[2])
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("FAILED " + name, done.stdout)
        # and nothing is timed then
        done = self.against(1, "-k", name, "--bench")
        self.assertIn("nothing is timed after a failure", done.stderr)
        self.assertNotIn("copies at", done.stdout)

        def length(cases):
            cases[0]["outputs"][0]["bytes"] += 4

        self.doctored(record, length)
        self.fails(name, "another length")
        self.doctored(record, lambda cases: cases[0]["outputs"].clear())
        self.fails(name, "none of its outputs is in the recorded file")
        self.doctored(record, lambda cases: cases[0]["outputs"].append({"label": "view 7", "bytes": 4, "hash": "0" * 16}))
        self.fails(name, "view 7: is in the recorded file, here there is none")

        short = "relu_fwd(n=3,fill=special)"
        record = self.record(short)

        def data(cases):
            text = cases[0]["outputs"][0]["data"]
            cases[0]["outputs"][0]["data"] = ("0" if text[3] != "0" else "1").join((text[:3], text[4:]))

        self.doctored(record, data)
        self.fails(short, "byte 1 is recorded as")

    def test_doctored_tolerant(self):
        large = "gemm(m=17,n=15,k=33,ta=0,tb=0,add=0,bias=1,fill=tiny)"
        record = self.record(large)
        (output,) = record["cases"][0]["outputs"]
        self.assertNotIn("data", output)
        self.assertTrue(0 < output["worst"] <= 1)

        def another_hash(cases):  # a backend that rounds otherwise
            cases[0]["outputs"][0]["hash"] = "0123456789abcdef"

        self.doctored(record, another_hash)
        self.against(0, "-k", large)

        def worse(cases):
            cases[0]["outputs"][0]["worst"] = 1.5

        self.doctored(record, worse)
        self.fails(large, "1.5 times its bound")
        small = "operator.linear(n=1,in=1,out=2)"
        record = self.record(small)

        def value(cases):
            (loss,) = [o for o in cases[0]["outputs"] if o["label"] == "loss"]
            loss["data"] = "0000803f"  # 1.0

        self.doctored(record, value)
        self.fails(small, "loss: [0] is recorded as 1,")

    def test_missing_and_damaged(self):
        names = "relu_bwd_value(n=1,fill=*"
        record = self.record(names)
        self.assertEqual(len(record["cases"]), 2)
        self.doctored(record, lambda cases: cases.pop())
        result = json.loads(self.against(0, "-k", names, "--format", "json").stdout)
        self.assertEqual(len(result["skipped"]), len(BACKENDS.split(",")))
        self.assertIn("has no such case", result["skipped"][0]["reason"])
        self.doctored(record, lambda cases: cases.clear())
        self.refuse(77, ["--backends", "cpu", "--against", self.file, "-k", names], "nothing was compared")
        for text in ("", "{", "[]", '{"format":"actc-parity-1"}', '{"format":"other","seed":"1","suite":"smoke","cases":[]}'):
            with open(self.file, "w") as file:
                file.write(text)
            self.refuse(1, ["--backends", "cpu", "--against", self.file], self.file)


class Oracle(Case):
    """One training step against the float64 values of tests/oracle/parity_step.py, and files that are not what they should be."""
    NET = ("--net-option", "width=2")

    @classmethod
    def setUpClass(cls):
        with open(ORACLE, "rb") as file:
            cls.raw = file.read()
        (n,) = struct.unpack("<Q", cls.raw[:8])
        cls.header, cls.data = json.loads(cls.raw[8:8 + n]), cls.raw[8 + n:]

    @staticmethod
    def tensors(header, data):
        """{name: [dtype, shape, bytes]}"""
        return {name: [t["dtype"], list(t["shape"]), data[slice(*t["data_offsets"])]] for name, t in header.items()
                if name != "__metadata__"}

    def doctored(self, change):
        """Writes the file after `change` of its tensors and of the metadata."""
        tensors, metadata = self.tensors(self.header, self.data), dict(self.header["__metadata__"])
        change(tensors, metadata)
        self.write(tensors, metadata)

    def write(self, tensors, metadata):
        header, at = {"__metadata__": metadata}, 0
        for name, (dtype, shape, data) in tensors.items():
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
            at += len(data)
        text = json.dumps(header).encode()
        with open(self.file, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + b"".join(t[2] for t in tensors.values()))

    def bad(self, change, *texts):
        self.doctored(change)
        self.refuse(2, ["--oracle", self.file, *self.NET], self.file, *texts)

    def failed(self, change):
        self.doctored(change)
        result = json.loads(self.parity("--oracle", self.file, *self.NET, "--format", "json", code=1).stdout)
        self.assertFalse(result["passed"])
        return result

    def test_devices(self):
        names = BACKENDS.split(",")
        if os.environ.get("VK_DRIVER_FILES"):
            names.append("vulkan:llvmpipe")
        result = json.loads(self.parity("--oracle", ORACLE, *self.NET, "--device", ",".join(names), "--format", "json").stdout)
        self.assertEqual([d["device"] for d in result["devices"]], names)
        self.assertEqual((result["net"], result["batch"], result["sample"], result["classes"]), ("resnet18", 4, "3x16x16", 5))
        self.assertEqual(result["pytorch_f32_gradient_relative_l2"], 2e-6)
        self.assertEqual(result["gradient_bound"], 4e-6)
        for d in [result, *result["devices"]]:
            self.assertTrue(d["passed"])
            self.assertTrue(0 < d["gradient_relative_l2"] <= 4e-6)
            self.assertTrue(0 <= d["loss_relative"] <= 1e-6)
            self.assertTrue(0 < d["buffer_relative_l2"] <= 1e-6)
            self.assertRegex(d["worst"]["name"], r"^grad\.\w")
            self.assertGreaterEqual(d["worst"]["value"], d["gradient_relative_l2"] / 2)
        self.assertEqual(result["gradient_relative_l2"], max(d["gradient_relative_l2"] for d in result["devices"]))

    def test_text(self):
        text = self.parity("--oracle", ORACLE, *self.NET, "--deterministic").stdout
        self.assertRegex(text, r"^passed cpu: loss 1\.40\d+, .*at most 4\.00e-06, PyTorch's own float32 2\.00e-06")
        self.assertIn("worst gradients", text)

    def test_wrong_values(self):
        def nudge(name, at, by):
            def change(tensors, metadata):
                data = bytearray(tensors[name][2])
                struct.pack_into("<d", data, at, struct.unpack_from("<d", data, at)[0] + by)
                tensors[name][2] = bytes(data)
            return change

        result = self.failed(nudge("grad.layer3.1.bn2.weight", 8, 1e-3))
        self.assertEqual(result["worst"]["name"], "grad.layer3.1.bn2.weight")
        result = self.failed(nudge("buffer_after.layer2.0.bn1.running_var", 0, 1e-3))
        self.assertEqual(result["worst_buffer"]["name"], "layer2.0.bn1.running_var")
        self.assertGreater(self.failed(nudge("loss", 0, 1e-4))["loss_relative"], 5e-5)
        text = self.parity("--oracle", self.file, *self.NET, code=1).stdout
        self.assertIn("FAILED cpu", text)
        result = self.failed(lambda tensors, metadata: metadata.update(pytorch_f32_gradient_relative_l2="1e-9"))
        self.assertEqual(result["gradient_bound"], 2e-9)
        self.doctored(lambda tensors, metadata: metadata.pop("pytorch_f32_gradient_relative_l2"))
        result = json.loads(self.parity("--oracle", self.file, *self.NET, "--format", "json").stdout)
        self.assertEqual((result["gradient_bound"], result["pytorch_f32_gradient_relative_l2"]), (1e-5, None))

    def test_images(self):
        """EDSR of tests/oracle/edsr_gradients.py: its target is an image of three times the input's size, and so is its output."""
        with open(os.path.join(FIXTURES, "edsr_gradients.safetensors"), "rb") as file:
            raw = file.read()
        (n,) = struct.unpack("<Q", raw[:8])
        tensors = {"input" if name == "images" else name.removeprefix("edsr x3|"): t
                   for name, t in self.tensors(json.loads(raw[8:8 + n]), raw[8 + n:]).items() if not name.startswith("edsr|")}
        tensors["label"], tensors["output"] = tensors.pop("targets"), tensors.pop("logits")
        tensors["loss"][1] = []
        net = ("--net-option", "features=4,blocks=1,scale=3")
        self.write(tensors, {"net": "edsr"})
        result = json.loads(self.parity("--oracle", self.file, *net, "--device", BACKENDS, "--format", "json").stdout)
        self.assertTrue(result["passed"] and 0 < result["gradient_relative_l2"] < 1e-5)
        self.assertEqual((result["sample"], result["classes"], result["worst_buffer"]), ("3x6x5", 0, None))
        self.refuse(2, ["--oracle", self.file], "'output' has the shape (2x3x18x15); edsr has (2x3x24x20)")
        tensors["label"][1][2:] = [15, 18]
        self.write(tensors, {"net": "edsr"})
        self.refuse(2, ["--oracle", self.file, *net], "'label' has the shape")

    def test_bad_files(self):
        for name in ("param.conv1.weight", "grad.fc.bias", "buffer.bn1.running_var", "buffer_after.bn1.running_mean", "input",
                     "label", "output", "loss"):
            self.bad(lambda tensors, metadata: tensors.pop(name), f"no tensor '{name}'")
        for name in ("param.layer1.0.conv1.weight", "grad.fc.weight", "buffer_after.bn1.running_var"):
            self.bad(lambda tensors, metadata: tensors[name][1].append(1), f"'{name}' has the shape")

        def label(value):
            return lambda tensors, metadata: tensors["label"].__setitem__(2, struct.pack("<4q", 0, value, 1, 2))

        for value in (5, -1, 1 << 40):
            self.bad(label(value), "'label' holds", "for sample 1", "classes 0 to 4")
        self.bad(lambda tensors, metadata: tensors.update(label=["I64", [3], struct.pack("<3q", 0, 1, 2)]), "'label'", "(3)")
        self.bad(lambda tensors, metadata: tensors.update({"param.extra": ["F64", [1], bytes(8)]}), "'param.extra'", "resnet18")
        self.bad(lambda tensors, metadata: tensors["loss"].__setitem__(slice(0, 3), ["I16", [], bytes(2)]), '"loss"', "I16")
        self.bad(lambda tensors, metadata: metadata.pop("net"), "'net'", "--net")
        self.bad(lambda tensors, metadata: metadata.update(pytorch_f32_gradient_relative_l2="small"), "'small'")
        self.doctored(lambda tensors, metadata: metadata.update(net="resnet19"))
        self.refuse(2, ["--oracle", self.file], "'resnet19'", "resnet18")
        self.parity("--oracle", self.file, "--net", "resnet18", *self.NET)
        self.refuse(2, ["--oracle", ORACLE], "'param.", "resnet18 has (64")
        for length in (0, 5, 1000, len(self.raw) - 8):
            with open(self.file, "wb") as file:
                file.write(self.raw[:length])
            self.refuse(2, ["--oracle", self.file, *self.NET], self.file)
        self.refuse(2, ["--oracle", "/no/such/file"], "/no/such/file")

    def test_options(self):
        self.refuse(2, ["--oracle", ORACLE, "--suite", "full"], "--suite")
        self.refuse(2, ["--device", "cpu"], "--oracle")
        self.refuse(2, ["--oracle", ORACLE, "--device", "cpu", "--backends", "cpu"], "--device", "--backends")
        self.refuse(2, ["--oracle", ORACLE, *self.NET, "--device", "abacus"], "'abacus'")
        result = self.parity("--oracle", ORACLE, *self.NET, "--device", "cpu,vulkan:no such card", "--format", "json", code=77)
        self.assertIn("no such card", json.loads(result.stdout)["skipped"][0])


if __name__ == "__main__":
    unittest.main()
