"""A subject that goes wrong in the way that its argument names. Standard library only."""

import ctypes
import os
import pathlib
import resource
import signal
import sys
import time


def crash():
    raise KeyError("no such column: 'text'")


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def out_of_memory():
    limit = 1 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    bytearray(4 << 30)


def never_trains():
    print("nothing to train")


def hangs():
    while True:
        time.sleep(60)


def stubborn():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    hangs()


def gigabyte():
    line = b"x" * ((1 << 20) - 1) + b"\n"
    for _ in range(1024):
        os.write(1, line)


def forks_away():
    """Leaves a process in a session of its own that ignores TERM."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, b"left-behind", 0, 0, 0)
            stubborn()
        os._exit(0)
    time.sleep(0.3)


def fills_the_disk():
    with pathlib.Path(sys.argv[2], "filler").open("wb") as file:
        while True:
            file.write(b"\0" * (1 << 20))


def writes_into_its_tree():
    left = pathlib.Path("left-by-the-run-before")
    if left.exists():
        raise SystemExit("the run before left something")
    left.write_text("x")
    pathlib.Path("misbehave.py").write_text("raise SystemExit('changed by the run before')")


def wrecks():
    """Damages everything of its run that it can reach."""
    import json
    import shutil

    settings = json.loads(pathlib.Path(os.environ["_paceline_run"]).read_text())
    pathlib.Path(settings["claim"]).mkdir()
    pathlib.Path(os.environ["PACELINE_CHOICES"]).mkdir()
    tree = pathlib.Path.cwd()
    shutil.rmtree(tree)
    tree.symlink_to("/")


def tampers():
    """Writes a line of its own to the events that the hook keeps."""
    import json

    settings = json.loads(pathlib.Path(os.environ["_paceline_run"]).read_text())
    [events] = pathlib.Path(settings["events"]).glob(f"{os.getpid()}-*.jsonl")
    with events.open("a") as file:
        file.write('{"kind": "step", "n": 1, "begin": 0.0, "end": 0.1, "loss": 0.1}\n')


def echoes():
    print(sys.argv[2:])


globals()[sys.argv[1]]()
