"""Zip archives with the same bytes for the same files: the supervisor's zipapp, and bundles of a job's
files.

Owns their form: names sorted, one fixed date, one permission. The digest of an archive may therefore stand
in a record. Takes sources from this package only.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ENTRY = b"import sys\n\nfrom supervisor.__main__ import main\n\nsys.exit(main(sys.argv[1:]))\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip can hold."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip of `files` (name with forward slashes: content); with a `__main__.py` in it, a zipapp."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # unix, also where it is packed on something else
            archive.writestr(entry, files[name])
    return target.getvalue()


@cache
def supervisor_archive() -> bytes:
    """The zipapp that runs on the pod: standard library only, Python 3.10 or later."""
    folder = Path(__file__).parent / "supervisor"
    modules = {f"supervisor/{path.name}": path.read_bytes() for path in folder.glob("*.py")}
    return pack({"__main__.py": ENTRY, **modules})
