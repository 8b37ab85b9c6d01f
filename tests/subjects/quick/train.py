"""A subject on the stand-ins for torch and transformers beside it; what it does is said by its arguments.

`torch.py` and `transformers/` stand for the libraries that a real subject imports, never for anything of
ours: hook, owner, worker and command line are the real ones. `settings.json` of a commit sets arguments by
recipe, so that commits differ in them. `--trouble` is what goes wrong, and when: `crash@3` in step 3,
`hang@0` before training.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import torch
from transformers import Trainer

parser = argparse.ArgumentParser()
parser.add_argument("--recipe", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--steps", type=int, default=12)
parser.add_argument("--seconds", type=float, default=0.03, help="of a step")
parser.add_argument("--busy", action="store_true", help="spin in steps, and in a thread beside them")
parser.add_argument("--rows", type=int, default=4, help="of a batch")
parser.add_argument("--tokens", type=int, default=50, help="of a row")
parser.add_argument("--trains", type=int, default=1, help="how often")
parser.add_argument("--loaders", type=int, default=0, help="busy processes of a data loader")
parser.add_argument("--reserves", type=float, default=0.0, help="share of the device, 0: there is none")
parser.add_argument("--trouble", default="none@0")
parser.add_argument("--notes", type=pathlib.Path, help="a folder: when which process of which arm ran")
settings = json.loads(pathlib.Path("settings.json").read_text())
parser.set_defaults(**settings.get(parser.parse_args().recipe, {}))
args = parser.parse_args()
ARM = pathlib.Path.cwd().name
STILL_S = 0.004
"""A thread that spins and sees the clock jump by more than this was not running."""
KEPT = []


class Trouble:
    """What goes wrong once, at a step counted from 1, or before training at 0."""

    def __init__(self):
        self._kind, _, number = args.trouble.partition("@")
        self._at = int(number)
        self.heard = b""

    def come(self, step):
        """A loss of its own, or None."""
        return getattr(self, self._kind)() if step == self._at else None

    def none(self):
        pass

    def crash(self):
        raise RuntimeError("the column went away")

    def hang(self):
        while True:
            time.sleep(1)

    def nan(self):
        return float("nan")

    def exit(self):
        sys.exit(3)

    def vanish(self):
        os._exit(0)

    def memory(self):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def crowded(self):
        """Out of memory where another process of these lives: the device holds one of them."""
        if is_beside_others():
            self.memory()

    def exclusive(self):
        """As on a device in exclusive compute mode."""
        if is_beside_others():
            raise RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable")

    def kill_owner(self):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)

    def close_all(self):
        """All descriptors; then a socket pair of its own gets their numbers."""
        os.closerange(3, 256)
        left, right = socket.socketpair()
        right.settimeout(0.3)
        KEPT.append(left)
        threading.Thread(target=self._listen, args=(right,)).start()

    def _listen(self, right):
        with contextlib.suppress(OSError):
            self.heard = right.recv(4096)

    def knock(self):
        """At the worker's door as somebody else: with a wrong key, and with words that are none."""
        said = json.dumps({"key": "0" * 16, "place": "steps", "steps": 1}).encode()
        for words in (said + b"\n", b"[" * 4000 + b"\n", b"x" * 100_000):
            self._say(words)

    def boast(self):
        """At the door with the run's own key, and figures that are none."""
        for figures in ({"steps": 10**400}, {"steps": 3, "reserved": "all of it", "device": [1]}):
            self._say(json.dumps({"key": hook()["key"], "place": "enter", **figures}).encode() + b"\n")

    def _say(self, words):
        knocking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        knocking.connect(hook()["gate"])
        KEPT.append(knocking)
        with contextlib.suppress(OSError):
            knocking.sendall(words)

    def hurry(self):
        socket.setdefaulttimeout(0.05)

    def plant(self):
        """Word that the arms do not fit beside each other, where the worker leaves its own."""
        runs = pathlib.Path(hook()["events"]).parents[2]
        (runs / "engine.json").write_text('{"engine": "abba", "why": "planted"}')

    def daemon(self):
        """A process in a session of its own, whose parent is gone."""
        code = "import time; time.sleep(1000)"
        subprocess.run(["setsid", "--fork", sys.executable, "-S", "-c", code], check=True)


class Notes:
    """When somebody of this process ran: a line of begin and end for each stretch without a break."""

    def __init__(self):
        name = f"{args.recipe}-{args.seed}-{ARM}-{os.getpid()}.notes"
        self._path = args.notes / name if args.notes else None

    def write(self, begin, end):
        if self._path:
            with self._path.open("a") as file:
                file.write(f"{begin} {end}\n")

    def spin(self):
        begin = last = time.monotonic()
        while True:
            now = time.monotonic()
            if now - last > STILL_S or last - begin > 0.02:
                self.write(begin, last)
                begin = last if now - last <= STILL_S else now
            last = now


def hook():
    return json.loads(pathlib.Path(os.environ["_paceline_run"]).read_text())


def is_beside_others():
    others = {path.stem for path in args.notes.glob("*.pid")} - {str(os.getpid())}
    return any(pathlib.Path("/proc", pid).exists() for pid in others)


def load():
    """A worker of a data loader: forked, busy, gone with its parent."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(writer)
        threading.Thread(target=Notes().spin, daemon=True).start()
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    KEPT.append(writer)


def batches(steps):
    row = [(args.seed + place) % 60 for place in range(args.tokens)]
    ids, mask = torch.Tensor([row] * args.rows), torch.Tensor([[1] * args.tokens] * args.rows)
    return [{"input_ids": ids, "attention_mask": mask}] * steps


def main():
    trouble, notes, done = Trouble(), Notes(), []
    if args.notes:
        (args.notes / f"{os.getpid()}.pid").touch()
    trouble.come(0)
    torch.cuda.reserved_b = int(args.reserves * torch.cuda.device_b)
    if args.busy:
        sys.setswitchinterval(0.0005)
        threading.Thread(target=notes.spin, daemon=True).start()
    for _ in range(args.loaders):
        load()

    def work(inputs):
        done.append(1)
        begin = time.monotonic()
        loss = trouble.come(len(done))
        while (left_s := begin + args.seconds - time.monotonic()) > 0:
            if not args.busy:
                time.sleep(left_s)
        notes.write(begin, time.monotonic())
        return 2.0 - 0.01 * len(done) if loss is None else loss

    for _ in range(args.trains):
        Trainer(batches(args.steps), work).train()
    if trouble.heard:
        print("heard what was not for it:", trouble.heard)


main()
