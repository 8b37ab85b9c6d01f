"""Writes what is drawn of a result: the HTML page, and every chart as a file of its own.

Drawing needs matplotlib, which is imported only then. A page beside the report of a job is a convenience:
where it cannot be made the result stands without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from bench.worker.files import write_whole

from agent.errors import TaskError
from agent.report_html import PAGE, chart_files, report_charts, report_page
from agent.result import Result


def write_drawn(result: Result, page: Path | None, folder: Path | None) -> list[Path]:
    """Writes the page, and the charts into a folder, where they are asked for; what was written.

    Raises TaskError where matplotlib is missing, or a file cannot be written.
    """
    if find_spec("matplotlib") is None:
        raise TaskError("charts need matplotlib, which is not installed here: pip install matplotlib")
    charts = report_charts(result)
    written = []
    if page is not None:
        with _told(page):
            write_whole(page, report_page(result, charts))
        written.append(page)
    if folder is not None:
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in chart_files(charts):
                (folder / name).write_bytes(content)
                written.append(folder / name)
    return written


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Names the path that was asked for, not a temporary one beside it."""
    try:
        yield
    except OSError as error:
        raise TaskError(f"cannot write {path}: {error.strerror}") from None


def keep_page(result: Result) -> None:
    """`report.html` in the job folder. Whatever goes wrong is told and costs nobody a measured result."""
    try:
        write_drawn(result, result.folder / PAGE, None)
    except Exception as error:
        print(f"paceline: no {PAGE} for {result.folder.name}: {error}", file=sys.stderr)
