#!/usr/bin/env python3
"""Runs one of the scripts beside it again and compares what it makes with what the repository holds.

  check.py SCRIPT       its name without .py: one of those that meson.build lists

Exit 0: the same, to the rounding of the stored numbers. Exit 77: a package that the script needs is not installed; which.
"""
import ast
import importlib.util
import json
import math
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
UNIT = HERE.parent / "unit"
# Both sides are float64 results rounded to f32, of another release of a package on another processor.
RELATIVE = 1e-6


def read_safetensors(path):
    raw = Path(path).read_bytes()
    (n,) = struct.unpack("<Q", raw[:8])
    tensors = {}
    header = json.loads(raw[8 : 8 + n])
    header.pop("__metadata__", None)
    for name, t in header.items():
        begin, end = t["data_offsets"]
        kind, size = {"F32": ("f", 4), "F64": ("d", 8), "I64": ("q", 8)}[t["dtype"]]
        tensors[name] = (t["shape"], struct.unpack("<%d%s" % ((end - begin) // size, kind), raw[8 + n + begin : 8 + n + end]))
    return tensors


def run(script, *arguments):
    done = subprocess.run([sys.executable, str(HERE / (script + ".py")), *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit("%s.py failed:\n%s" % (script, done.stderr))
    return done.stdout


def packages(script):
    """What the script and the modules beside it that it imports need from outside Python's own library."""
    wanted, files, seen = set(), [script], set()
    while files:
        name = files.pop()
        seen.add(name)
        for node in ast.walk(ast.parse((HERE / (name + ".py")).read_text())):
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            else:
                names = [node.module] if isinstance(node, ast.ImportFrom) else []
            for module in {n.split(".")[0] for n in names}:
                if (HERE / (module + ".py")).exists():
                    files += [module] if module not in seen else []
                elif module not in sys.stdlib_module_names:
                    wanted.add(module)
    return sorted(wanted)


def norm(values):
    return math.sqrt(math.fsum(v * v for v in values))


def check_fixture(script):
    """Every tensor by its relative L2 error; indices of kept coefficients exactly."""
    stored = read_safetensors(HERE / "fixtures" / (script + ".safetensors"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.safetensors"
        run(script, str(path))
        made = read_safetensors(path)
    wrong = ["only one has %s" % name for name in stored.keys() ^ made.keys()]
    worst = 0
    for name in stored.keys() & made.keys():
        (shape, a), (other, b) = stored[name], made[name]
        if shape != other:
            wrong.append("%s: %s in the repository, %s made" % (name, shape, other))
            continue
        if name.startswith("kept ") and a != b:
            wrong.append("%s: other coefficients" % name)
        error = norm([x - y for x, y in zip(a, b)]) / max(norm(a), 1e-30)
        worst = max(worst, error)
        if not error <= RELATIVE:
            wrong.append("%s: relative error %g" % (name, error))
    print("%d tensors, largest relative error %.2g" % (len(made), worst))
    return wrong


def tables(text):
    """name -> numbers of `static const double NAME[] = {...};`"""
    found = re.findall(r"static const double (\w+)\[\] = \{([^}]*)\};", text)
    return {name: [float(v.replace("NAN", "nan")) for v in re.sub(r"/\*.*?\*/", "", values).split(",") if v.strip()]
            for name, values in found}


def check_schedule():
    made, stored = tables(run("schedule")), tables((UNIT / "test_schedule.c").read_text())
    wrong = []
    for name, values in made.items():
        other = stored.get(name, [])
        same = len(values) == len(other) and all(
            math.isclose(a, b, rel_tol=1e-14) or (math.isnan(a) and math.isnan(b)) for a, b in zip(values, other))
        if not same:
            wrong.append("%s: %s made, %s in tests/unit/test_schedule.c" % (name, values, other))
    print("%d tables" % len(made))
    return wrong if made else ["no table was made"]


def check_shuffle():
    def squeeze(text):
        return re.sub(r"[\su]", "", text.lower())
    rows, stored = run("shuffle").splitlines(), squeeze((UNIT / "test_loader.c").read_text())
    print("%d rows" % len(rows))
    wrong = [row + " is not in tests/unit/test_loader.c" for row in rows if squeeze(row).rstrip(",") not in stored]
    return wrong if rows else ["no row was made"]


def main():
    script = sys.argv[1] if len(sys.argv) == 2 else ""
    if not re.fullmatch(r"\w+", script) or not (HERE / (script + ".py")).exists():
        sys.exit(__doc__)
    missing = [name for name in packages(script) if importlib.util.find_spec(name) is None]
    if missing:
        print("skipped: %s.py needs %s, which %s has not (tools/oracle-venv.sh)" % (script, ", ".join(missing), sys.executable))
        sys.exit(77)
    wrong = {"schedule": check_schedule, "shuffle": check_shuffle}.get(script, lambda: check_fixture(script))()
    for line in wrong:
        print(line, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
