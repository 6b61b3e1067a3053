"""The process that stage 5 runs twice: compiles a function, with its results in a shared cache.

Writes one JSON object to standard output: `outputs` of the function, `seconds` that it took, and
`problem`, which is null unless Inductor finds no compiler for C++ that works.
"""

import json
import sys
import time

import torch
from torch._inductor.exc import CppCompileError, InductorError, InvalidCxxCompiler

from torchstash.cache import DiskBackend, FileSink
from torchstash.cache.torch_compile import install
from torchstash.tools.demo.compiled_function import BATCHES, inputs, mean_entropy


def main(cache: str, samples: str, compiler: str) -> None:
    """Compiles with `torch.compile(backend=compiler)`; the cache is in the folder `cache`."""
    # Under one job id, processes share what they learn about changing sizes.
    torch.compiler.config.job_id = "torchstash-demo"
    outputs: list[float] = []
    problem = None
    start = time.perf_counter()
    with DiskBackend(cache) as backend, FileSink(samples) as sink, install(backend, sink=sink):
        compiled = torch.compile(mean_entropy, backend=compiler)
        try:
            outputs = [compiled(*inputs(batch)).item() for batch in BATCHES]
        except InductorError as error:
            if not isinstance(error.inner_exception, CppCompileError | InvalidCxxCompiler):
                raise
            lines = str(error.inner_exception).splitlines()
            problem = next((line for line in lines if "error:" in line), lines[0])
    seconds = time.perf_counter() - start
    json.dump({"outputs": outputs, "seconds": seconds, "problem": problem}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
