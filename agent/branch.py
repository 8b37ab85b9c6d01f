"""What of a job's files goes to the results branch, or into a local folder: names, digests, sizes, links.

Pure. One folder a run: the report, its charts, the result and the plan as they are, all that `paceline
verify` reads as one archive, and a manifest with the digest of every file in both. All text passes `clean`
first, which takes secrets out; a file that it changed has in the manifest also the digest that it had. What
is too large is left out, and says so.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from agent.github_names import is_ref
from agent.tracker import TrackerError

BRANCH = "paceline-results"
MANIFEST, ARCHIVE, CHARTS = "manifest.json", "runs.tar.gz", "charts"
FILE_LIMIT_B = 25 << 20
"""Of one file: GitHub takes 100 MiB in Base64, but such a request does not come through everywhere."""
TOTAL_LIMIT_B = 100 << 20
FILES_LIMIT = 100
SHOWN = ("report.html", "report.md", "result.json", "plan.json")
VERIFIED = ("plan.json", "job.json", "host.json", "floors.json", "forecast.json", "exit.json", "result.json")
RAW = re.compile(
    r"runs/(?:[^/]+\.json|[^/]+/engine\.json|[^/]+/[0-9]+/[^/]+/"
    r"(?:events\.jsonl|exit\.json|choices\.jsonl|host\.csv|gpu\.csv|gpu-apps\.csv|log))"
)
BULKY = re.compile(r"(?:^|/)(?:log|[a-z-]+\.csv)$")
"""What `verify` can do without, and an archive that is too large is made without first."""
PATH = re.compile(r"(?!.*(^|/)(\.{0,2}|\.git)(/|$))[a-z0-9._+-]{1,100}(/[a-z0-9._+-]{1,100}){0,5}", re.I)
Clean = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one folder by name; `left_out` says why, by the path that each has in the job folder."""

    folder: str
    files: Mapping[str, bytes]
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """`name` is that of a file in the folder; empty for the folder itself."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """`was` is the digest before, where something was taken out."""

    content: bytes
    was: str | None


def folder_of(issue: int, plan: str, attempt: int) -> str:
    return f"issue-{issue}/{plan[:12]}-a{attempt}"


def is_wanted(path: str) -> bool:
    """Whether a file of a job folder goes there, in the open or in the archive."""
    return path in SHOWN or path in VERIFIED or bool(RAW.fullmatch(path))


def bundle_of(
    folder: str,
    held: Mapping[str, bytes],
    charts: Mapping[str, bytes],
    clean: Clean,
    left_out: Mapping[str, str] | None = None,
) -> Bundle:
    """`held` are the wanted files of the job folder, `charts` files by name, `left_out` what could not be
    read."""
    cleaned = {path: _cleaned(path, content, clean) for path, content in held.items() if is_wanted(path)}
    shown = {path: cleaned[path] for path in SHOWN if path in cleaned}
    shown |= {f"{CHARTS}/{name}": _cleaned(name, content, clean) for name, content in charts.items()}
    inside = {path: cleaned[path] for path in sorted(cleaned) if path != "report.html"}
    left = dict(left_out or {})
    archive, packed = _archived(inside, left)
    kept, total_b = dict[str, _Cleaned](), len(archive or b"")
    for name, one in shown.items():
        if len(one.content) > FILE_LIMIT_B:
            left[name] = _too_large(len(one.content), FILE_LIMIT_B)
        elif total_b + len(one.content) > TOTAL_LIMIT_B or len(kept) >= FILES_LIMIT - 2:
            left[name] = f"the folder is full ({FILES_LIMIT} files, {TOTAL_LIMIT_B >> 20} MiB)"
        else:
            kept[name] = one
            total_b += len(one.content)
    files = {name: one.content for name, one in kept.items()}
    if archive is not None:
        files[ARCHIVE] = archive
    files[MANIFEST] = _manifest(folder, kept, archive, packed, left)
    return Bundle(folder, files, left)


def links_of(page: str, commit: str, bundle: Bundle) -> tuple[Link, ...]:
    """`page` is the repository's address for people; a commit's never changes what it shows."""
    at = f"{commit}/{quote(bundle.folder)}"
    named = (Link(name, f"{page}/blob/{at}/{quote(name)}") for name in bundle.files)
    return (Link("", f"{page}/tree/{at}"), *named)


def payload_of(bundle: Bundle, branch: str, commit: str) -> dict[str, Any]:
    """For the marker: the manifest has the digests of all other files."""
    named = (MANIFEST, ARCHIVE, *SHOWN)
    digests = {name: sha256(bundle.files[name]) for name in named if name in bundle.files}
    where = {"branch": branch, "commit": commit, "folder": bundle.folder}
    return {**where, "sha256": digests, "left_out": len(bundle.left_out)}


def check(branch: str, configured: str, default: str) -> None:
    """Raises TrackerError for every branch that is not the configured one, or that people work on."""
    if branch != configured:
        raise TrackerError(f"{branch!r} is not the results branch {configured!r}: nothing else is written")
    if branch.casefold() == default.casefold():
        raise TrackerError(f"the results branch {branch!r} is the default branch: name another")
    if not is_ref(branch):
        raise TrackerError(f"{branch!r} cannot be a branch")


def check_files(folder: str, files: Mapping[str, bytes]) -> None:
    """Raises TrackerError for paths that lead elsewhere, and for more than the tracker takes."""
    for path in (folder, *files):
        if not PATH.fullmatch(path):
            raise TrackerError(f"{path!r} cannot be a path of the results branch")
    if not 0 < len(files) <= FILES_LIMIT:
        raise TrackerError(f"{len(files)} files of a run: 1 to {FILES_LIMIT} are written")
    for path, content in files.items():
        if len(content) > FILE_LIMIT_B:
            raise TrackerError(f"{path}: {_too_large(len(content), FILE_LIMIT_B)}")
    if (total_b := sum(map(len, files.values()))) > TOTAL_LIMIT_B:
        raise TrackerError(f"{folder}: {_too_large(total_b, TOTAL_LIMIT_B)}")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _too_large(size_b: int, limit_b: int) -> str:
    return f"{size_b} bytes, at most {limit_b} are written"


def _cleaned(path: str, content: bytes, clean: Clean) -> _Cleaned:
    if path.endswith(".png"):
        return _Cleaned(content, None)
    cleaned = clean(content)
    return _Cleaned(cleaned, None if cleaned == content else sha256(content))


def _archived(
    inside: Mapping[str, _Cleaned], left: dict[str, str]
) -> tuple[bytes | None, Mapping[str, _Cleaned]]:
    """The archive and what is in it; notes what is not."""
    for is_whole in (True, False):
        chosen = {path: one for path, one in inside.items() if is_whole or not BULKY.search(path)}
        made = _packed({path: one.content for path, one in chosen.items()})
        if len(made) <= FILE_LIMIT_B:
            left |= {path: "the archive would be too large" for path in inside if path not in chosen}
            return made, chosen
    left[ARCHIVE] = _too_large(len(made), FILE_LIMIT_B)
    return None, {}


def _packed(files: Mapping[str, bytes]) -> bytes:
    """The same files give the same bytes: no times, no owners."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _manifest(
    folder: str,
    shown: Mapping[str, _Cleaned],
    archive: bytes | None,
    packed: Mapping[str, _Cleaned],
    left: Mapping[str, str],
) -> bytes:
    files = {name: _entry(one) for name, one in shown.items()}
    if archive is not None:
        files[ARCHIVE] = _entry(_Cleaned(archive, None))
    document = {
        "schema": 1,
        "folder": folder,
        "files": files,
        "archive": {path: _entry(one) for path, one in packed.items()},
        "left_out": dict(left),
    }
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def _entry(one: _Cleaned) -> dict[str, Any]:
    """`was_sha256` only where secrets were taken out."""
    told = {"size_b": len(one.content), "sha256": sha256(one.content)}
    return {**told, "was_sha256": one.was} if one.was else told
