#!/usr/bin/env python3
"""Runs actc-info and actc-bench as a user does.

  test_info_bench.py ACTC-INFO ACTC-BENCH [unittest arguments]       needs Python 3 only
"""
import json
import os
import subprocess
import sys
import unittest

INFO, BENCH = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))


class Case(unittest.TestCase):
    def run_tool(self, tool, arguments, code=0, **environment):
        done = subprocess.run([tool] + arguments, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def refuse(self, tool, arguments, code, *texts):
        done = self.run_tool(tool, arguments, code)
        self.assertEqual(done.stdout, "")
        for text in texts:
            self.assertIn(text, done.stderr)


class Info(Case):
    def test_list(self):
        devices = json.loads(self.run_tool(INFO, ["--format", "json"]).stdout)["devices"]
        text = self.run_tool(INFO, []).stdout
        self.assertLessEqual({"cpu", "vulkan", "cuda", "null"}, {d["backend"] for d in devices})
        for d in devices:
            self.assertIn(d["name"], text)
            if d["usable"]:
                self.assertEqual(d["reason"], "")
                self.assertNotEqual(d["exact_evidence"], "")
                self.assertIn(d["device"] + ": ", text)
            else:
                self.assertNotEqual(d["reason"], "")
                self.assertIn(d["reason"], text)
        (cpu,) = [d for d in devices if d["backend"] == "cpu" and d["usable"]]
        self.assertEqual((cpu["device"], cpu["type"]), ("cpu", "cpu"))
        self.assertTrue(1 <= cpu["threads"] <= os.cpu_count())

    def test_compile_all(self):
        text = self.run_tool(INFO, ["--compile-all", "--device", "cpu"]).stdout
        self.assertIn("1 kernels compiled", text)
        result = json.loads(self.run_tool(INFO, ["--compile-all", "--device", "cpu", "--format=json"]).stdout)
        self.assertEqual(result["backend"], "cpu")
        self.assertGreaterEqual(len(result["kernels"]), 1)

    def test_refused(self):
        self.refuse(INFO, ["--compile-all", "--device", "abacus"], 2, "'abacus'", "cpu")
        self.refuse(INFO, ["--device", "cpu"], 2, "--compile-all")
        self.refuse(INFO, ["cpu"], 2, "'cpu'")
        self.refuse(INFO, ["--format", "yaml"], 2, "yaml", "text|json")
        self.assertIn("actc-info --compile-all", self.run_tool(INFO, ["--help"]).stdout)
        self.assertRegex(self.run_tool(INFO, ["--version"]).stdout, r"^actc-info \(actc\) ")


class Network(Case):
    def test_json(self):
        net = json.loads(self.run_tool(INFO, ["mnistnet", "--batch", "64", "--compress", "conv2=dct:lambda=10", "--format", "json"]).stdout)
        self.assertEqual((net["network"], net["parameters"], net["batch"]), ("mnistnet", 150194, 64))
        conv2 = next(o for o in net["operators"] if o["operator"] == "conv2")
        self.assertEqual((conv2["kind"], conv2["output"], conv2["parameters"]), ("conv", "1x8x24x24", 1160))
        relu1 = next(s for s in net["saved"] if s["tensor"] == "relu1")
        self.assertEqual((relu1["readers"], relu1["use"], relu1["codec"]), ("conv2", "parameters", "dct:lambda=10"))
        self.assertLess(relu1["payload_bytes"], relu1["dense_bytes"])
        self.assertLess(net["planned_bytes"], net["planned_bytes_uncompressed"])

    def test_adds_up(self):
        """Masks beside compressed tensors and tensors in the memory of others: the rows add up to what is planned."""
        for arguments in (["mnistnet"], ["mnistnet", "--compress", "*=dct"], ["resnet18"], ["resnet18", "--compress", "*=dct"],
                          ["resnet50", "--compress", "*@bn=threshold"], ["efficientnet_b0", "--size", "64,64", "--compress", "*=dct"],
                          ["vit"], ["vit3d", "--compress", "*=dct"], ["cvt", "--size", "64,64", "--compress", "*@attention=dct"]):
            net = json.loads(self.run_tool(INFO, arguments + ["--format", "json", "--batch", "16"]).stdout)
            self.assertEqual(sum(o["parameters"] for o in net["operators"]), net["parameters"])
            self.assertEqual(sum(s["kept_bytes"] for s in net["saved"]), net["saved_bytes"], arguments)
            self.assertLessEqual(net["saved_bytes"], net["planned_bytes"])
            self.assertEqual(net["device"], "null")
        text = self.run_tool(INFO, ["resnet18", "--compress", "*=dct:lambda=10"]).stdout
        self.assertIn("dct:lambda=10 and mask", text)

    def test_own_size(self):
        usual = self.run_tool(INFO, ["mnistnet"]).stdout
        self.assertEqual(self.run_tool(INFO, ["mnistnet", "--size", "28,28", "--classes", "10", "--batch", "128"]).stdout, usual)

    def test_text(self):
        text = self.run_tool(INFO, ["resnet18", "--size", "16,16", "--classes", "10", "--batch", "2"]).stdout
        for words in ("input 3x16x16, 10 classes, batch 2", "11173962 parameters", "layer2/0/downsample/0", "bn", "gradient"):
            self.assertIn(words, text)
        text = self.run_tool(INFO, ["edsr", "--size", "6,5", "--net-option", "features=4,blocks=1,scale=2", "--batch", "2"]).stdout
        for words in ("input 3x6x5, batch 2", "body/0/body/2", "1x3x12x10"):
            self.assertIn(words, text)
        small = "patch=8,dim=12,depth=2,heads=2,head_dim=5,mlp=20"
        for pool, words in (("cls", "slice"), ("mean", "avgpool")):
            text = self.run_tool(INFO, ["vit", "--size", "16,24", "--net-option", f"{small},pool={pool}", "--batch", "2"]).stdout
            for word in ("blocks/1/attn/attention", "1x7x10", "pos_embed", words):
                self.assertIn(word, text)

    def test_refused(self):
        self.refuse(INFO, ["resnet19"], 2, "unknown network 'resnet19'", "resnet18")
        self.refuse(INFO, ["mnistnet", "--size", "32,32"], 2, "--size 32,32", "28,28 alone")
        self.refuse(INFO, ["mnistnet", "--classes", "11"], 2, "--classes 11")
        self.refuse(INFO, ["resnet18", "--size", "32"], 2, "--size 32", "HEIGHT,WIDTH")
        self.refuse(INFO, ["resnet18", "--size", "32,32x"], 2, "--size 32,32x")
        self.refuse(INFO, ["efficientnet_b9"], 2, "unknown network 'efficientnet_b9'", "efficientnet_b8")
        self.refuse(INFO, ["efficientnet_b0", "--net-option", "as_published=2"], 2, "'2' is no number that as_published takes: 0 to 1")
        self.refuse(INFO, ["efficientnet_b0", "--net-option", "groups=2"], 2, "'groups=2'", "width (0 to 1000)", "depth (0 to 1000)")
        self.refuse(INFO, ["resnet18", "--compress", "conv9=dct"], 2, "--compress", "'conv9' matches no operator")
        self.refuse(INFO, ["--batch", "3"], 2, "--batch goes with a network")
        self.refuse(INFO, ["mnistnet", "--compile-all"], 2, "--compile-all")
        self.refuse(INFO, ["resnet18", "--device", "abacus"], 2, "'abacus'", "null")
        for option in ("channels=1", "features=0", "blocks=257", "scale=1", "scale=5"):
            self.refuse(INFO, ["edsr", "--net-option", option], 2, "--net-option " + option)
        self.refuse(INFO, ["edsr", "--classes", "3"], 2, "--classes 3", "image")
        for net, size, options in (("vit", "16,16", ("patch=0", "pool=max", "pool=", "pool=0", "dim=x", "frame_patch=2", "heads=129")),
                                   ("vit3d", "4,16,16", ("frame_patch=0", "pool=clsx")), ("cvt", "32,32", ("depth4=1", "width=0"))):
            for option in options:
                self.refuse(INFO, [net, "--size", size, "--net-option", option], 2, "--net-option " + option)
        self.refuse(INFO, ["vit", "--net-option", "pool=max"], 2, "'max' is no word that pool takes: cls|mean")
        self.refuse(INFO, ["vit", "--net-option", "pool"], 2, "'pool' is not KEY=cls|mean")
        self.refuse(INFO, ["vit", "--size", "250,256"], 2, "--size", "patch[0] is 32, must divide the axis of 250")
        for option in ("width=0", "features=0", "dropout=101"):
            self.refuse(INFO, ["deeplabv3plus", "--net-option", option], 2, "--net-option " + option)
        self.refuse(INFO, ["deeplabv3plus", "--size", "2,2"], 2, "--size", "backbone/features/0/0")
        # the rules are named where they are at fault, and only there
        for rules in ([], ["--compress", "*=dct"]):
            self.refuse(INFO, ["resnet18", "--size", "2,2", "--batch", "1"] + rules, 2, "--batch 1 and inputs of 3x2x2",
                        "one value a channel")
            self.refuse(INFO, ["resnet18", "--size", "60000,60000"] + rules, 2, "--batch 128 and inputs of 3x60000x60000",
                        "use a smaller batch")


class Bench(Case):
    def test_json(self):
        for codec, dense, smaller in (("dct:lambda=10", 4 * 2 * 3 * 16 * 16, True), ("none", 4 * 2 * 3 * 16 * 16, False)):
            result = json.loads(self.run_tool(BENCH, ["codec", "--device", "cpu", "--shape", "2,3,16,16", "--codec", codec, "--format",
                                                      "json"]).stdout)
            self.assertEqual(result["dense_bytes"], dense)
            self.assertEqual(result["payload_bytes"] < dense, smaller)
            self.assertEqual(result["relative_error"] > 0, smaller)
            self.assertLess(result["relative_error"], 1)
            for work in ("pack", "unpack", "copy"):
                self.assertGreater(result[work + "_gb_s"], 0)
                self.assertAlmostEqual(result[work + "_gb_s"] * result[work + "_s"] * 1e9 / dense, 1, places=9)

    def test_text(self):
        text = self.run_tool(BENCH, ["codec", "--device", "cpu", "--shape", "7", "--codec", "threshold:lambda=2", "--input", "relu"]).stdout
        for word in ("threshold", "28 B", "pack", "unpack", "copy", "of copying"):
            self.assertIn(word, text)

    def test_refused(self):
        self.refuse(BENCH, [], 2, "nothing to measure")
        self.refuse(BENCH, ["gemm"], 2, "'gemm'", "codec")
        for shape in ("", "0", "1,2,", "1,-2", "a", "1,2,3,4,5,6", "65536,65536", "99999999999999999999",
                      " 1", "+1", "1, 2", "2 ", "0x2"):
            self.refuse(BENCH, ["codec", "--shape", shape], 2, "--shape " + shape)
        self.refuse(BENCH, ["codec", "--device", "cpu", "--codec", "zip"], 2, '"zip"')
        self.refuse(BENCH, ["codec", "--device", "cpu", "--codec", "dct:lambda=0"], 2, "lambda=0")
        self.refuse(BENCH, ["codec", "--device", "null"], 2, "--device null", "computes nothing", "vulkan")
        self.refuse(BENCH, ["codec", "--input", "zeros"], 2, "normal|relu")


class Step(Case):
    SMALL = ["resnet18", "--net-option", "width=4", "--size", "8,8", "--classes", "7", "--batch", "2"]
    WORK = {"conv forward", "conv backward data", "conv backward filter", "update"}

    def step(self, arguments, **environment):
        return json.loads(self.run_tool(BENCH, ["step"] + arguments + ["--format", "json"], **environment).stdout)

    def check(self, part, batch, steps, *kinds):
        self.assertAlmostEqual(part["samples_per_s"] * part["seconds_per_step"] / batch, 1, places=9)
        self.assertLessEqual(part["seconds_least"], part["seconds_per_step"])
        self.assertLessEqual(part["seconds_per_step"], part["seconds_most"])
        self.assertEqual(part["planned_bytes"], part["allocated_bytes"])
        self.assertGreater(part["peak_rss_bytes"], part["allocated_bytes"])
        self.assertEqual(len(part["loss"]), steps)
        self.assertLess(part["loss"][-1], part["loss"][0])
        self.assertLessEqual(self.WORK | set(kinds), set(part["kinds"]))
        for kind in self.WORK | set(kinds):
            self.assertGreater(part["kinds"][kind], 0, kind)

    def test_cpu(self):
        result = self.step(self.SMALL + ["--device", "cpu", "--steps", "9"])
        self.check(result, 2, 9, "bn forward", "bn backward", "loss forward")
        self.assertEqual((result["network"], result["size"], result["classes"], result["untimed"]), ("resnet18", [8, 8], 7, ""))
        self.assertFalse({"pack", "unpack"} & set(result["kinds"]))
        self.assertNotIn("uncompressed", result)

    def test_compressed(self):
        result = self.step(["mnistnet", "--device", "cpu", "--batch", "16", "--steps", "12", "--compress", "*=dct:lambda=10",
                            "--deterministic", "--threads", "1", "--optim", "sgd"])
        plain = result["uncompressed"]
        self.check(result, 16, 12, "pack", "unpack", "linear backward")
        self.check(plain, 16, 12, "pool forward")
        self.assertFalse({"pack", "unpack"} & set(plain["kinds"]))
        self.assertLess(result["planned_bytes"], plain["planned_bytes"])
        self.assertAlmostEqual(result["samples_per_s_ratio"], result["samples_per_s"] / plain["samples_per_s"], places=9)
        alone = self.step(["mnistnet", "--device", "cpu", "--batch", "16", "--steps", "12", "--deterministic", "--optim", "sgd"])
        self.assertEqual(alone["loss"], plain["loss"])
        self.assertNotEqual(alone["loss"], result["loss"])

    def test_text(self):
        text = self.run_tool(BENCH, ["step"] + self.SMALL + ["--device", "cpu", "--steps", "2", "--compress", "*=dct"]).stdout
        for words in ("resnet18, input 3x8x8, batch 2", "compressed by *=dct", "samples a second", "loss of step 2",
                      "conv backward filter", "unpack"):
            self.assertIn(words, text)
        # two tables, the columns of each of one width
        tables = [part.splitlines() for part in text.split("\n\n")[1:]]
        self.assertEqual([len({len(line) for line in table}) for table in tables], [1, 1], text)
        self.assertIn("actc-bench step resnet18", self.run_tool(BENCH, ["step", "--help"]).stdout)

    def test_vulkan(self):
        devices = json.loads(self.run_tool(INFO, ["--format", "json"]).stdout)["devices"]
        if not any(d["backend"] == "vulkan" and d["usable"] for d in devices):
            self.skipTest("no Vulkan device")
        result = self.step(self.SMALL + ["--device", "vulkan", "--steps", "6"])
        self.check(result, 2, 6, "bn forward")
        self.assertTrue(result["device"].startswith("vulkan"))
        self.assertEqual(result["untimed"], "")
        blind = self.step(self.SMALL + ["--device", "vulkan", "--steps", "6"], ACTC_VK_NO_TIMESTAMPS="1")
        self.assertNotIn("kinds", blind)
        self.assertIn("no timestamps", blind["untimed"])
        self.assertEqual(blind["loss"], result["loss"])

    def test_refused(self):
        self.refuse(BENCH, ["step"], 2, "no network is named", "resnet18")
        self.refuse(BENCH, ["step", "resnet19"], 2, "unknown network 'resnet19'", "resnet18")
        self.refuse(BENCH, ["step", "mnistnet", "--steps", "0"], 2, "--steps 0", "from 1")
        self.refuse(BENCH, ["step", "mnistnet", "--device", "cpu", "--compress", "conv9=dct"], 2, "--compress", "'conv9' matches no")
        self.refuse(BENCH, ["step", "mnistnet", "--device", "cpu", "--compress", "*=zip"], 2, "--compress", "zip")
        self.refuse(BENCH, ["step", "mnistnet", "--device", "null"], 2, "--device null", "computes nothing")
        self.refuse(BENCH, ["step", "mnistnet", "--device", "abacus"], 2, "--device", "'abacus'")
        self.refuse(BENCH, ["step", "mnistnet", "--size", "8,8"], 2, "--size 8,8", "28,28 alone")
        self.refuse(BENCH, ["step", "resnet18", "--device", "cpu", "--size", "2,2", "--batch", "1"], 2, "--batch 1", "one value a channel")
        self.refuse(BENCH, ["--device", "cpu"], 2, "codec, step")


if __name__ == "__main__":
    unittest.main()
