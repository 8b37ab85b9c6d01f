"""Held-out rows, checked before anything is measured with them: JSON objects of one of the known forms."""

from __future__ import annotations

import json

from agent.errors import TaskError

FORMS = ({"messages"}, {"text"}, {"prompt", "completion"}, {"prompt", "chosen", "rejected"})
TOLD = "messages; text; prompt and completion; prompt, chosen and rejected"


def check_rows(data: bytes, path: str) -> None:
    """Raises TaskError naming file and line of the first row that no evaluation could read."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise TaskError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None
    if not any(line.strip() for line in lines):
        raise TaskError(f"{path} holds no row")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            _check(line, f"{path}, line {number}")


def _check(line: str, where: str) -> None:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TaskError(f"{where} is not JSON: {error}") from None
    if not isinstance(row, dict):
        raise TaskError(f"{where} is no JSON object; a row has {TOLD}")
    if not any(form <= set(row) for form in FORMS):
        keys = ", ".join(map(str, row)) or "nothing"
        raise TaskError(f"{where} has {keys[:100]}; a row has {TOLD}")
