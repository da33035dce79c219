#!/usr/bin/env python3
"""Measures the methods of actc-memory --table 3 on this machine's processor, for its --times.

  measure-methods.py ACTC-BENCH ACTC-MEMORY > times.json        minutes; nothing else should run

Every rule of the table is timed against no compression in the same process, the two taking turns (actc-bench step --compress), at
a smaller batch and size than the table's: time is the ratio of the two medians.
"""
import datetime
import json
import subprocess
import sys

# options of actc-bench step, by network
SMALLER = {
    "unet3d": ["--batch", "1", "--size", "48,48,48"],
    "efficientnet_b0": ["--batch", "2", "--size", "224,224", "--net-option", "as_published=1"],
    "efficientnet_b4": ["--batch", "1", "--size", "224,224", "--net-option", "as_published=1"],
    "efficientnet_b8": ["--batch", "1", "--size", "160,160", "--net-option", "as_published=1"],
    "deeplabv3plus": ["--batch", "4", "--size", "128,128"],
    "edsr": ["--batch", "1", "--size", "24,24"],
}


def output_of(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    bench, memory = sys.argv[1:3]
    rows, machine = [], {}
    for row in output_of([memory, "--table", "3", "--format", "json"])["rows"]:
        network, rules = row["network"], row.get("compress")
        if not rules:
            continue
        step = output_of([bench, "step", network, "--device", "cpu", "--optim", "sgd", "--steps", "3", "--warmup", "1", "--compress", rules,
                          "--format", "json"] + SMALLER[network])
        machine = step
        rows.append({"network": network, "compress": rules, "batch": step["batch"], "size": step["size"],
                     "time": round(step["seconds_per_step"] / step["uncompressed"]["seconds_per_step"], 3)})
        print(f"{network} {rules}: {rows[-1]['time']}", file=sys.stderr, flush=True)
    shapes = {row["network"]: f"{row['network']} {'x'.join(map(str, row['size']))} b{row['batch']}" for row in rows}
    print(json.dumps({
        "measured": f"Time measured on {datetime.date.today()}, {machine['device_name']}, {machine['threads']} threads, "
                    f"{machine['driver']}, at {', '.join(shapes.values())}.",
        "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
