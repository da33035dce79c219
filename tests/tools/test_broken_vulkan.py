#!/usr/bin/env python3
"""One broken Vulkan installation beside a good one: what the tools list, and what goes on.

  test_broken_vulkan.py ACTC-INFO ACTC-BENCH ACTC-PARITY BAD-ICD GOOD-MANIFEST [unittest arguments]

BAD-ICD is bad_icd.c as a shared library, GOOD-MANIFEST that of a software driver. Needs Python 3 only.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

INFO, BENCH, PARITY, BAD_ICD, GOOD = (os.path.abspath(sys.argv.pop(1)) for _ in range(5))
OUT_OF_HOST_MEMORY, OUT_OF_DEVICE_MEMORY, INITIALIZATION_FAILED, DEVICE_LOST = -1, -2, -3, -4


class BrokenVulkan(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="actc-vulkan-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.manifest = self.write("bad_icd.json", json.dumps(
            {"file_format_version": "1.0.0", "ICD": {"library_path": BAD_ICD, "api_version": "1.2.0"}}))
        self.good = GOOD if os.path.exists(GOOD) else None

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def run_tool(self, arguments, code, variables):
        names = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES")
        environment = {k: v for k, v in os.environ.items() if k not in names}
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env={**environment, **variables})
        self.assertEqual(done.returncode, code, f"{arguments} {variables}\n{done.stdout}\n{done.stderr}")
        return done

    def list(self, variables):
        devices = json.loads(self.run_tool([INFO, "--format", "json"], 0, variables).stdout)["devices"]
        self.assertTrue([d for d in devices if d["backend"] == "cpu" and d["usable"]], devices)
        text = self.run_tool([INFO], 0, variables).stdout
        for d in devices:
            self.assertIn(d["reason"], text)
        return [d for d in devices if d["backend"] == "vulkan"]

    def broken(self, variables, *texts, warns=True):
        """Vulkan is one unusable entry with these texts; whoever names it gets them, and the others go on."""
        (vulkan,) = self.list(variables)
        self.assertEqual((vulkan["device"], vulkan["usable"]), ("vulkan", False))
        bench = [BENCH, "codec", "--shape", "4", "--format", "json", "--device"]
        for device in ("vulkan", "vulkan:0", "vulkan:llvmpipe"):
            done = self.run_tool(bench + [device], 1, variables)
            self.assertEqual(done.stdout, "")
            self.assertIn("--device: device '" + device + "'", done.stderr)
            for text in texts:
                self.assertIn(text, vulkan["reason"])
                self.assertIn(text, done.stderr)
        done = self.run_tool(bench + ["auto"], 0, variables)
        chosen = json.loads(done.stdout)["device"]
        self.assertNotIn("vulkan", chosen)
        if chosen == "cpu":  # else CUDA, which comes before Vulkan
            self.assertEqual("warning: device auto goes without vulkan: " + vulkan["reason"] in done.stderr, warns, done.stderr)
        record = os.path.join(self.folder, "record.json")
        done = self.run_tool([PARITY, "--filter", "relu_bwd_value(n=1,fill=*", "--format", "json", "--record", record], 0, variables)
        parity = json.loads(done.stdout)
        self.assertEqual(parity["failed"], [])
        self.assertIn(vulkan["reason"], [line["reason"] for line in parity["skipped"]])
        self.run_tool([PARITY, "--filter", "relu_bwd_value(n=1,fill=*", "--backends", "cpu,vulkan"], 77, variables)

    def beside(self, path):
        return ":".join([path] + [GOOD] * bool(self.good))

    def test_malformed_manifest(self):
        for name, text in (("open.json", "{\n"), ("empty.json", "")):
            path = self.write(name, text)
            files = self.beside(path)
            vulkan = self.list({"VK_ICD_FILENAMES": files})
            if len(vulkan) == 1 and not vulkan[0]["usable"]:  # later loaders pass over it
                self.broken({"VK_ICD_FILENAMES": files}, f"Failed to parse JSON file {path}", "VK_ICD_FILENAMES=" + files[:200])
            else:
                self.assertTrue(any(d["usable"] for d in vulkan) or not self.good, vulkan)

    def test_enumeration_fails(self):
        for result, name in ((OUT_OF_HOST_MEMORY, "OUT_OF_HOST_MEMORY"), (OUT_OF_DEVICE_MEMORY, "OUT_OF_DEVICE_MEMORY")):
            bad = {"BAD_ICD": "enumerate", "BAD_ICD_RESULT": str(result)}
            self.broken({"VK_DRIVER_FILES": self.manifest, **bad}, "vkEnumeratePhysicalDevices: VK_ERROR_" + name,
                        "VK_DRIVER_FILES=" + self.manifest)
        (vulkan,) = self.list({"VK_ADD_DRIVER_FILES": self.manifest, **bad})
        self.assertIn("its default search and VK_ADD_DRIVER_FILES=" + self.manifest, vulkan["reason"])
        vulkan = self.list({"VK_DRIVER_FILES": self.manifest, "BAD_ICD": "enumerate", "BAD_ICD_RESULT": str(DEVICE_LOST)})
        self.assertIn("VK_ERROR_DEVICE_LOST", vulkan[0]["reason"])

    def test_no_driver(self):
        missing = os.path.join(self.folder, "missing.json")
        self.broken({"VK_DRIVER_FILES": missing}, "no Vulkan driver is installed", missing, warns=False)
        bad = {"BAD_ICD": "create", "BAD_ICD_RESULT": str(INITIALIZATION_FAILED)}
        self.broken({"VK_DRIVER_FILES": self.manifest, **bad}, "no Vulkan driver is installed", self.manifest, warns=False)

    def test_long_list(self):
        """The message ends where it must, and still says the reason."""
        files = ":".join(os.path.join(self.folder, f"missing-{i}.json") for i in range(40))
        (vulkan,) = self.list({"VK_DRIVER_FILES": files})
        self.assertIn("no Vulkan driver is installed", vulkan["reason"])
        self.assertTrue(vulkan["reason"].endswith("VK_DRIVER_FILES=" + files[:200] + "..."), vulkan["reason"])

    def test_one_device(self):
        """A device that cannot be described is rejected by itself; the other driver's stays usable."""
        bad = {"BAD_ICD": "extensions", "BAD_ICD_RESULT": str(OUT_OF_HOST_MEMORY)}
        vulkan = self.list({"VK_DRIVER_FILES": self.beside(self.manifest), **bad})
        (device,) = [d for d in vulkan if d["name"] == "bad device"]
        self.assertFalse(device["usable"])
        self.assertEqual(device["reason"], "vkEnumerateDeviceExtensionProperties: VK_ERROR_OUT_OF_HOST_MEMORY")
        if self.good:
            self.assertEqual([d["usable"] for d in vulkan if d is not device], [True])


if __name__ == "__main__":
    unittest.main()
