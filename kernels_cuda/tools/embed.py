"""embed.py: fat binaries to one C file, the table actc_cuda_images of backends/cuda/cuda_internal.h.

    embed.py OUT.c FILE.fatbin...

Reads NAME.usage beside each NAME.fatbin (compile.py) to say whether the machine code of all EXACT kernels was linted.
"""
import os
import sys


def main():
    out, inputs = sys.argv[1], sorted(sys.argv[2:])
    linted = True
    with open(out + ".tmp", "w") as file:
        file.write("/* made by kernels_cuda/tools/embed.py: fat binaries as 64-bit little-endian words */\n")
        file.write('#include "backends/cuda/cuda_internal.h"\n\n')
        entries = []
        for path in inputs:
            name = os.path.splitext(os.path.basename(path))[0]
            with open(path, "rb") as binary:
                data = binary.read()
            with open(os.path.splitext(path)[0] + ".usage") as usage:
                linted = linted and "sass_lint=no" not in usage.read()
            words = data + b"\0" * (-len(data) % 8)
            file.write("static const uint64_t image_%s[] = {\n" % name)
            for i in range(0, len(words), 64):
                row = words[i:i + 64]
                file.write(" ".join("0x%x," % int.from_bytes(row[j:j + 8], "little") for j in range(0, len(row), 8)) + "\n")
            file.write("};\n")
            entries.append('    {"%s", image_%s, %d},\n' % (name, name, len(data)))
        file.write("\nconst actc_cuda_image actc_cuda_images[] = {\n" + "".join(entries) + "};\n")
        file.write("const size_t actc_cuda_n_images = %d;\n" % len(entries))
        file.write("const bool actc_cuda_sass_linted = %s;\n" % ("true" if linted else "false"))
    os.replace(out + ".tmp", out)


if __name__ == "__main__":
    main()
