"""A hostile neighbour: keeps every core busy in bursts of 1 to 20 s, with pauses as long, until ended."""

import multiprocessing
import random
import sys
import time

SHORTEST_S, LONGEST_S = 1.0, 20.0


def burn(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def main(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a schedule that can be repeated
    while True:
        busy_s, idle_s = (draw.uniform(SHORTEST_S, LONGEST_S) for _ in range(2))
        burst = [
            multiprocessing.Process(target=burn, args=(busy_s,), daemon=True)
            for _ in range(multiprocessing.cpu_count())
        ]
        for process in burst:
            process.start()
        for process in burst:
            process.join()
        time.sleep(idle_s)


if __name__ == "__main__":
    main(int(sys.argv[1]))
