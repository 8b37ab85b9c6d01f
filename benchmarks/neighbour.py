"""A hostile neighbour: keeps every core busy in bursts of 1 to 20 s, with pauses as long, until ended.

It ends with whoever started it, and its processes end with it: one that lived on would disturb what is
measured next.
"""

import ctypes
import multiprocessing
import os
import random
import signal
import sys
import time

SHORTEST_S, LONGEST_S = 1.0, 20.0
PR_SET_PDEATHSIG = 1


def main(seed: int) -> None:
    die_with(os.getppid())
    draw = random.Random(seed)  # noqa: S311 - a schedule that can be repeated
    while True:
        busy_s, idle_s = (draw.uniform(SHORTEST_S, LONGEST_S) for _ in range(2))
        burst = [
            multiprocessing.Process(target=burn, args=(busy_s, os.getpid()))
            for _ in range(multiprocessing.cpu_count())
        ]
        for process in burst:
            process.start()
        for process in burst:
            process.join()
        time.sleep(idle_s)


def burn(seconds: float, parent: int) -> None:
    die_with(parent)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before
        os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
