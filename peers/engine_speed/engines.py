"""Engines as processes that wait for a command while others work."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

# Threads that wait for work by spinning, as those of OpenMP and ONNX Runtime do, have parked by then.
PAUSE_SECONDS = 0.05


class EngineProcess:
    """A process that answers lines of commands with lines of JSON; see `worker.py` and `engine_speed.rs`."""

    def __init__(self, name, command, threads):
        self.name = name
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads), "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
        }
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment, cwd=Path(__file__).parents[1])
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the engine `{self.name}` ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def take(self, workload):
        """Seconds of each batch."""
        time.sleep(PAUSE_SECONDS)
        return self.ask(f"pass {workload}")["seconds"]

    def resident_bytes(self):
        """Resident memory now; None where /proc does not tell it."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return None
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def native(program, model, bits, threads, work):
    return [program, model, str(bits), str(threads), str(work)]


def peer(kind, model, setting, threads, work):
    return [sys.executable, "-m", "engine_speed.worker", kind, str(model), setting, str(threads), str(work)]
