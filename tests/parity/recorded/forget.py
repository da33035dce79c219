#!/usr/bin/env python3
"""Takes cases out of a file that actc-parity --record has written: those that hold or compute something else by now, so
that what the file has of them is no longer what that GPU would give. They come back with the next recording.

  forget.py FILE.json.gz GLOB...       e.g. forget.py nvidia-h100-cuda.json.gz 'codec_values(*'
"""
import fnmatch
import gzip
import json
import sys


def main():
    if len(sys.argv) < 3 or "--help" in sys.argv:
        print(__doc__.strip())
        return 0 if "--help" in sys.argv else 2
    path, globs = sys.argv[1], sys.argv[2:]
    with gzip.open(path, "rt") as file:
        record = json.load(file)
    kept = [c for c in record["cases"] if not any(fnmatch.fnmatchcase(c["name"], g) for g in globs)]
    if len(kept) == len(record["cases"]):
        print(f"{path}: no case is named {' or '.join(globs)}", file=sys.stderr)
        return 1
    print(f"{path}: {len(record['cases']) - len(kept)} cases forgotten, {len(kept)} left")
    record["cases"] = None
    head = json.dumps(record, separators=(",", ":")).replace('"cases":null}', '"cases":[\n')
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in kept)
    with gzip.GzipFile(path, "wb", 9, mtime=0) as file:
        file.write((head + lines + "\n]}\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
