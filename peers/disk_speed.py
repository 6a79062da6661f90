"""Writes 1 GB into a folder, flushes it, and reads it from the page cache; prints what each took."""

import os
import sys
import time
from pathlib import Path

path, block, count = Path(sys.argv[1]) / "disk_speed", os.urandom(1 << 20), 1000
start = time.perf_counter()
with path.open("wb", buffering=0) as file:
    for _ in range(count):
        file.write(block)
    written = time.perf_counter()
    os.fsync(file.fileno())
flushed = time.perf_counter()
with path.open("rb", buffering=0) as file:
    while file.read(1 << 20):
        pass
read = time.perf_counter()
path.unlink()
gigabytes = count * len(block) / 1e9
print(f"{gigabytes / (written - start):.2f} GB/s written to the page cache, {gigabytes / (flushed - start):.2f} "
      f"with the flush, {gigabytes / (read - flushed):.2f} read from the page cache")
