"""Starts `mlxq predict` on folders in turn and prints, as a line of JSON for each folder, the times to its first answer.

Arguments: rounds, program, folders. A round before the first warms the files and is not counted. Each
entry of a line is [seconds from start to the first answer, CPU seconds of the process, bytes at its peak].
"""

import json
import os
import subprocess
import sys
import time

REQUEST = b'{"text": "A man is playing a guitar on the stage."}\n'


def once(program, folder):
    begun = time.perf_counter()
    process = subprocess.Popen([program, "--quiet", "predict", folder, "--input", "-"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(REQUEST)
    process.stdin.close()
    answer = process.stdout.readline()
    wall = time.perf_counter() - begun
    process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not answer.startswith(b"{"):
        sys.exit(f"{program} predict {folder} ended with {process.returncode}")
    # Kibibytes, but bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return [wall, used.ru_utime + used.ru_stime, used.ru_maxrss * unit]


def main(rounds, program, folders):
    taken = [[once(program, folder) for folder in folders] for _ in range(rounds + 1)]
    for place in range(len(folders)):
        print(json.dumps([turns[place] for turns in taken[1:]]))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
