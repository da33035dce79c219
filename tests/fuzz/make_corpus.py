#!/usr/bin/env python3
"""Writes the first inputs of the corpora, by the formats' descriptions and not by actc: good ones, and each kind of damage.

  make_corpus.py [FOLDER]       default: corpus/ beside it; what the fuzzer has found there stays
"""
import gzip
import json
import os
import struct
import sys
import zlib

ROOT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(target, name, content):
    folder = os.path.join(ROOT, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def idx(dims, values):
    return struct.pack(">BBBB", 0, 0, 8, len(dims)) + b"".join(struct.pack(">I", d) for d in dims) + values


def idx_files():
    images, labels = idx([2, 2, 3], bytes(range(12))), idx([5], b"\0\1\2\3\4")
    packed = gzip.compress(labels, mtime=0)
    for name, content in {
        "images": images, "labels": labels, "labels.gz": packed, "truncated": images[:-1], "longer": labels + b"\0",
        "truncated.gz": packed[:-6], "wrong-sum.gz": packed[:-8] + b"\0\0\0\0" + packed[-4:], "empty": b"",
        "huge": idx([0xffffffff, 0xffffffff, 0xffffffff], b""), "zero": idx([0, 3, 3], b""),
        "type": b"\0\0\x0d\1" + labels[4:],
        "two-members.gz": packed + packed, "magic": b"\x89PNG\r\n\x1a\n",
    }.items():
        write("idx", name, content)


def safetensors(header, data, padding=True):
    text = header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))
    text = text.encode("utf-8", "surrogatepass")
    if padding:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def entry(shape, begin, count, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + 4 * count]}


def safetensors_files():
    data = struct.pack("<6f", 1, -2, 0.5, float("inf"), float("nan"), 1e-40)
    good = {"a": entry([2, 2], 0, 4), "b": entry([], 16, 1), "c": entry([1], 20, 1), "__metadata__": {"format": "x"}}
    for name, content in {
        "good": safetensors(good, data), "empty": b"", "none": safetensors({}, b""), "short": b"\xff" * 8,
        "zero-size": safetensors({"a": entry([0, 9007199254740992], 0, 0)}, b""),
        "hole": safetensors({"a": entry([1], 0, 1), "b": entry([1], 8, 1)}, data[:12]),
        "overlap": safetensors({"a": entry([2], 0, 2), "b": entry([2], 4, 2)}, data[:12]),
        "twice": safetensors('{"a":%s,"a":%s}' % ((json.dumps(entry([1], 0, 1)),) * 2), data[:4]),
        "outside": safetensors({"a": entry([1000], 0, 1000)}, data),
        "overflow": safetensors({"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}}, b""),
        "negative": safetensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}, b""),
        "dtype": safetensors({"a": entry([1], 0, 1, "BF16")}, data[:4]),
        "dimensions": safetensors({"a": entry([1] * 6, 0, 1)}, data[:4]),
        "surrogate": safetensors('{"\ud800":%s}' % json.dumps(entry([1], 0, 1)), data[:4]),
        "escapes": safetensors('{"\\u0000a\\ud83d\\ude00":%s}' % json.dumps(entry([1], 0, 1)), data[:4]),
        "deep": safetensors('{"a":' + "[" * 200 + "]" * 200 + "}", b""),
        "metadata": safetensors({"__metadata__": {"format": 1}}, b""),
        "truncated": safetensors(good, data)[:-3],
    }.items():
        write("safetensors", name, content)


def checkpoint(pending=0, step=6, parameters_only=False, **changes):
    shapes = {"conv.weight": [2, 1, 3, 3], "conv.bias": [2], "fc.weight": [3, 8], "fc.bias": [3]}
    header, data = {}, b""
    kinds = ["", "exp_avg.", "exp_avg_sq."]
    names = [kind + name for kind in (kinds[:1] if parameters_only else kinds) for name in shapes]
    if pending:
        names += ["grad." + name for name in shapes]
    for name in names:
        shape = shapes[name.split(".", 1)[1] if name not in shapes else name]
        count = 1
        for d in shape:
            count *= d
        header[name] = entry(shape, len(data), count)
        data += struct.pack("<f", 0.25) * count
    header["__metadata__"] = {
        "format": "actc-checkpoint", "version": "1", "network": "small", "optimizer": "adam", "step": str(step),
        "updates": "2", "pending": str(pending), "epoch": "1", "index": "0", "loss_sum": "3ff0000000000000",
        "schedule_best": "7ff0000000000000", "schedule_bad_epochs": "0", "schedule_reductions": "0", **changes}
    if changes.get("version") == "2":
        header["__metadata__"].setdefault("checksum", "%08x" % checksum(header, data))
    return safetensors(header, data)


def checksum(header, data):
    """As src/io/checksum.c."""
    total = 0
    for key, value in header["__metadata__"].items():
        total += zlib.crc32(b"m" + key.encode() + b"\0" + value.encode() + b"\0")
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            shape = struct.pack(f"<{len(t['shape'])}q", *t["shape"])
            total += zlib.crc32(b"t" + name.encode() + b"\0" + shape + data[begin:end])
    return total & 0xffffffff


def checkpoint_files():
    for name, content in {
        "good": checkpoint(), "pending": checkpoint(1, 7), "pending-differs": checkpoint(0, 7),
        "network": checkpoint(network="other"), "optimizer": checkpoint(optimizer="sgd "),
        "version": checkpoint(version="3"), "checked": checkpoint(version="2", accumulate="3", run="r"),
        "checked-pending": checkpoint(2, 7, version="2", accumulate="3"),
        "checksum": checkpoint(version="2", accumulate="3", checksum="0123abcd"),
        "accumulate": checkpoint(1, 7, version="2", accumulate="4"), "step": checkpoint(step=-1), "huge-step": checkpoint(step=9223372036854775806),
        "updates": checkpoint(updates="99999999999999999999"), "index": checkpoint(index="-5"),
        "best": checkpoint(schedule_best="7ff8"), "parameters": checkpoint(parameters_only=True),
        "truncated": checkpoint()[:-40],
    }.items():
        write("checkpoint", name, content)


def text_files():
    for i, text in enumerate((
        "", "conv1,relu1,conv2=dct:lambda=10", "*=threshold:lambda=100", "*@conv,relu=wavelet:wave=haar,select=band",
        "conv[12]=dct;relu?=dct:relu=value;fc*=none", " conv2 = random ; ", "conv9=dct", "*@attention=dct", "conv2=zip",
        "conv2=dct:", "=dct", "conv2=", "conv[=dct", "*,*,*@relu=dct:lambda=1;", ";;;", "a@b@c=dct=1",
        "[!a-z]*=dct:values=int8,lambda=1.1",
        "c*o*n*v*2=dct:ratio=1", "*=dct;*=derivative:bits=8",
    )):
        write("rules", "%02d" % i, text)
    for i, text in enumerate((
        "threshold", "dct:block=row,norm=none", "wavelet:wave=db38,levels=16,mode=symmetric,select=band,values=int8",
        "random:relu=value", "none", "dct:lambda=1e300", "dct:lambda=0x10", "dct:ratio=0.9,values=f16", "threshold:ratio=1",
        "threshold:select=tile,lambda=1.1", "dct:lambda=nan", "dct:lambda=1,ratio=1", "dct:lambda=1,lambda=1", "dct:level=3",
        "wavelet:levels=17", "wavelet:wave=db39", ":", "dct:", "dct:,", "dct:=", "a" * 500, "step:epochs=2,gamma=0.5",
        "plateau:patience=0,gamma=0.5,min-lr=0.01", "cosine:epochs=9",
        "cosine:min-lr=1", "step:gamma=", "wavelet:lambda=1.7976931348623157e308", "threshold:lambda=1.0000000000000002",
        "quant:bits=2,mode=symmetric", "quant:bits=16",
        "derivative:bits=2", "wavelet:select=random,lambda=1000",
    )):
        write("spec", "%02d" % i, bytes([i]) + text.encode())


def config_files():
    good = {
        "actc": "0.1.0", "model": "mnistnet", "data": "fashion-mnist", "data-dir": None, "device": "cpu", "threads": 0,
        "compress": None, "epochs": 3, "steps": 0, "batch": 16, "accumulate": 1, "optim": "sgd:momentum=0.9", "lr": 0.5,
        "schedule": "cosine", "seed": "5", "save-every": None, "log-every": 1, "limit": 0, "deterministic": False}
    for name, content in {
        "good": json.dumps(good), "empty": "", "open": "{", "list": "[1]", "no-model": json.dumps({**good, "model": None}),
        "model": json.dumps({**good, "model": "resnet18"}), "batch": json.dumps({**good, "batch": "many"}),
        "huge": json.dumps({**good, "epochs": 1e308, "seed": 1e30}),
        "types": json.dumps({**good, "data": ["x"], "lr": {}, "optim": True}),
        "optim": json.dumps({**good, "optim": "adam:beta1=0.9,beta2=1,eps=0,weight-decay=-1"}),
        "flag": json.dumps({**good, "deterministic": 1}),
        "twice": '{"model":"mnistnet","model":"x","batch":1,"batch":2}', "nul": '{"model":"mnist\\u0000net"}',
        "long": json.dumps({**good, "device": "x" * 3000}),
    }.items():
        write("config", name, content)
    lines = ['{"step":%d,"epoch":1,"loss":2.3,"lr":0.001}\n' % step for step in (1, 100, 101, 5)]
    for name, content in {
        "good": "".join(lines), "cut": "".join(lines)[:-9], "blank": "\n\n" + lines[0],
        "other": "hello\n" + lines[0] + "[1]\n", "nul": lines[0].encode() + b"\0" + lines[1].encode(),
        "no-step": '{"loss":1}\n', "huge": '{"step":1e999}\n{"step":-1}\n', "empty": "",
    }.items():
        write("metrics", name, content)


def unpack_files():
    """Option bytes as fuzz_unpack.c reads them: kind, k, select, values, own options, dimensions, their sizes, mode, cut."""
    number = 0
    for kind in (0, 1, 2):
        for kept, select, values, shape in (
                (0, 0, 0, (4, 1, 3, 10, 9)), (3, 1, 3, (2, 12, 15)), (5, 0, 1, (1, 15)), (2, 2, 2, (5, 1, 2, 1, 4, 5)),
                (1, 0, 3, (3, 2, 9, 6)), (6, 0, 0, (1, 15)), (7, 0, 0, (1, 3)), (0, 0, 0, (0,))):
            for mode in (0, 1, 2):
                own = () if kind == 0 else (number % (4 if kind == 1 else 7),)
                body = bytes((number * 37 + i * i * 11) % 256 for i in range(24))
                options = (kind, kept, select, values) + own + shape + (mode, number * 11 % 256)
                write("unpack", "%03d" % number, bytes(options) + body)
                number += 1
    for kind in (6, 7):
        write("unpack", "%03d" % (number + kind), bytes((kind, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0)) + b"\xff\x7f\x80\0")
    for kind, kept, select, shape in ((0, 3, 0, (1, 15)), (1, 4, 1, (4, 1, 3, 10, 9)), (2, 1, 2, (3, 2, 9, 6))):
        for mode in (0, 1, 2): # int4
            body = bytes((kind * 53 + mode * 7 + i * i * 11) % 256 for i in range(24))
            options = (kind, kept, select, 4) + ((0,) if kind else ()) + shape + (mode, 40)
            write("unpack", "int4-%d%d" % (kind, mode), bytes(options) + body)
    for own in range(8):
        for mode in (0, 1, 2):
            shape = ((4, 1, 3, 10, 9), (1, 15), (3, 2, 9, 6))[(own + mode) % 3]
            body = bytes((own * 37 + mode * 5 + i * i * 11) % 256 for i in range(24))
            write("unpack", "quant-%d%d" % (own, mode), bytes((3, 0, 0, 0, own) + shape + (mode, own * 31 % 256)) + body)


idx_files()
safetensors_files()
checkpoint_files()
text_files()
config_files()
unpack_files()
