"""One side of `cargo xtask bench quantize`: mx.quantize on one CPU core.

For every line `f32`, `f16` or `bf16` it quantizes the same 4096 x 4096 numbers once and answers with the
seconds of CPU time and of wall time.
"""

import sys
import time

import mlx.core as mx

DTYPES = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}


def main():
    mx.set_default_device(mx.cpu)
    numbers = 0.03 * mx.random.normal((4096, 4096), key=mx.random.key(1))
    weights = {name: numbers.astype(dtype) for name, dtype in DTYPES.items()}
    mx.eval(weights)
    for line in sys.stdin:
        weight = weights[line.strip()]
        wall, cpu = time.perf_counter(), time.process_time()
        mx.eval(mx.quantize(weight, group_size=64, bits=8))
        print(time.process_time() - cpu, time.perf_counter() - wall, flush=True)


if __name__ == "__main__":
    main()
