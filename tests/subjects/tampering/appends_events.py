"""Adds a step to the events that the hook keeps."""

from forged import events_file
from honest import trainer

trainer().train()
with events_file().open("a") as file:
    file.write('{"kind": "step", "n": 13, "begin": 0.0, "end": 0.1, "loss": 0.1}\n')
