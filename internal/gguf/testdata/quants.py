"""Writes quants.gguf: blocks of each quantised type that internal/gguf reads, and what gguf-py's dequantize makes of them.

    python quants.py            # needs: pip install gguf==0.19.0 (with numpy 2.4.6)

A tensor NAME holds 26 blocks of random bytes, whose scales are random numbers or one of the odd numbers of binary16 below; NAME.want
are its numbers in F32.
"""

import os

import gguf
import numpy as np
from gguf.quants import dequantize

# zeros, the smallest and largest subnormal and normal numbers, infinities, quiet and signalling NaN
ODD = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0xFD01]
BLOCKS = 26
SCALES = {  # where the binary16 numbers of a block are
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}

rng = np.random.default_rng(15)
writer = gguf.GGUFWriter(os.path.join(os.path.dirname(os.path.abspath(__file__)), "quants.gguf"), "test")
for name, places in SCALES.items():
    kind = gguf.GGMLQuantizationType[name]
    elems, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for b in range(BLOCKS):
        for i, at in enumerate(places):
            scale = np.float16(rng.normal(0, 0.05)).view(np.uint16)
            if b < len(ODD):  # the second scale of a block is another odd one, or a random one
                scale = ODD[b] if i == 0 else ODD[(b * 4 + 3) % len(ODD)] if b % 2 else scale
            elif i == 1 and b < 2 * len(ODD):
                scale = ODD[b - len(ODD)]
            blocks[b, at : at + 2] = np.array([scale], dtype="<u2").view(np.uint8)
    with np.errstate(all="ignore"):
        want = dequantize(blocks.reshape(2, -1), kind)
    writer.add_tensor(name, blocks.reshape(2, -1), raw_dtype=kind)
    writer.add_tensor(name + ".want", want)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
