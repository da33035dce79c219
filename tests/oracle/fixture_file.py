"""Writes the fixtures: safetensors, names sorted; float32, but with metadata in the arrays' own types."""
import json
import struct
from pathlib import Path

import numpy as np

DTYPES = {"f4": "F32", "f8": "F64", "i8": "I64"}


def write_safetensors(path, tensors, metadata=None):
    header, offset, blobs = {}, 0, []
    if metadata:
        header["__metadata__"] = metadata
    for name in sorted(tensors):
        kind = np.asarray(tensors[name]).dtype.str[1:] if metadata else "f4"
        blob = np.ascontiguousarray(tensors[name], dtype="<" + kind).tobytes()
        header[name] = {"dtype": DTYPES[kind], "shape": list(tensors[name].shape), "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
