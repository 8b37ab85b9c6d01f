"""Writes what only the worker writes: its own record, and that of runs that are still to come."""

import json
import os
import pathlib

from honest import trainer

trainer().train()
own = pathlib.Path(os.environ["PACELINE_CHOICES"]).parent
(own / "exit.json").write_text(json.dumps({"schema": 1}))
recipe = own.parent.parent
for replicate in (2, 3):
    planted = recipe / str(replicate) / own.name
    planted.mkdir(parents=True, exist_ok=True)
    (planted / "exit.json").write_text(json.dumps({"schema": 1, "planted": True}))
