"""Writes one folder into the results branch through GitHub's Git Data API: no checkout, no other branch.

Files, folders and commits belong to nobody until the branch points at them, so that making them again after
an unsure answer adds nothing. The branch moves only forward, from the commit that was read: where somebody
else moved it meanwhile, it is read again and the folder is put on top of theirs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from agent import github_shapes as shapes
from agent.git_ids import FILE, FOLDER, blob_id, tree_id
from agent.github_answer import Answer
from agent.github_line import Line
from agent.tracker import TrackerError, Unsure

WAITS_S = (0.0, 0.5, 2.0, 5.0, 10.0)
"""Before each try: a branch that moves this often is left to the next look at the issue."""
MARK = ".paceline-results"
MARKED = b"paceline results, schema 1\n"


@dataclass(frozen=True, slots=True)
class Tip:
    """Where the branch stands: its commit, the tree of that, and what lies at the top of it."""

    commit: str
    tree: str
    top: Mapping[str, shapes.Entry]


class ResultsBranch:
    """One branch of one repository; `repository` is its path in the API."""

    def __init__(self, line: Line, repository: str, branch: str) -> None:
        self._line = line
        self._git = f"{repository}/git"
        self._branch = branch
        self._there: set[str] = set()

    def write(self, folder: str, files: Mapping[str, bytes], message: str) -> str:
        """The id of a commit in which the folder holds these files and no others. Raises TrackerError."""
        ids = {path: blob_id(content) for path, content in files.items()}
        wanted, before = tree_id(ids), None
        trouble = TrackerError(f"the branch {self._branch} was never written")
        for number, wait_s in enumerate(WAITS_S):
            if number:
                self._line.sleep(wait_s)
            tip = self._tip()
            if tip is not None and self._folder(tip, folder) == wanted:
                return tip.commit
            is_refused = number > 0 and not isinstance(trouble, Unsure)
            if is_refused and (tip and tip.commit) == before:
                raise trouble  # and not because somebody was faster
            before = tip.commit if tip else None
            try:
                for path, content in files.items():
                    self._send(ids[path], content)
                made = self._commit(tip, folder, ids, wanted, message)
                moved = self._move(tip, made)
            except Unsure as unsure:
                trouble = unsure  # looked for before anything is sent again
                continue
            if moved is None:
                return made
            trouble = moved
        raise trouble

    def _tip(self) -> Tip | None:
        """Raises TrackerError where the branch is none of ours."""
        path = f"{self._git}/ref/heads/{quote(self._branch)}"
        answer = self._line.get(path, accept=(200, 404))
        if answer.status == 404:
            return None
        commit = self._line.parsed(f"GET {path}", shapes.ref, answer)
        path = f"{self._git}/commits/{commit}"
        tree = self._line.parsed(f"GET {path}", shapes.tree_of, self._line.get(path))
        top = self._entries(tree)
        if MARK not in top:
            raise TrackerError(
                f"the branch {self._branch} is there and holds no {MARK}: it is not Paceline's, name another"
            )
        return Tip(commit, tree, top)

    def _folder(self, tip: Tip, folder: str) -> str | None:
        """The id of the folder's tree."""
        *above, last = folder.split("/")
        entries = tip.top
        for name in above:
            entry = entries.get(name)
            if entry is None or entry.kind != "tree":
                return None
            entries = self._entries(entry.id)
        found = entries.get(last)
        return found.id if found else None

    def _entries(self, tree: str) -> Mapping[str, shapes.Entry]:
        path = f"{self._git}/trees/{tree}"
        return self._line.parsed(f"GET {path}", shapes.entries, self._line.get(path))

    def _send(self, key: str, content: bytes) -> None:
        if key not in self._there:
            body = {"content": base64.b64encode(content).decode(), "encoding": "base64"}
            self._made(f"{self._git}/blobs", body, key)
            self._there.add(key)

    def _commit(self, tip: Tip | None, folder: str, ids: Mapping[str, str], wanted: str, message: str) -> str:
        """A folder of its own first, so that it replaces the one that may be there as a whole."""
        inner = [{"path": path, "mode": FILE, "type": "blob", "sha": key} for path, key in ids.items()]
        self._made(f"{self._git}/trees", {"tree": inner}, wanted)
        top: list[dict[str, str]] = [{"path": folder, "mode": FOLDER, "type": "tree", "sha": wanted}]
        if tip is None:
            self._send(blob_id(MARKED), MARKED)
            top.append({"path": MARK, "mode": FILE, "type": "blob", "sha": blob_id(MARKED)})
        tree = self._made(f"{self._git}/trees", {"tree": top, **({"base_tree": tip.tree} if tip else {})})
        parents = [tip.commit] if tip else []
        return self._made(f"{self._git}/commits", {"message": message, "tree": tree, "parents": parents})

    def _made(self, path: str, body: Mapping[str, object], wanted: str | None = None) -> str:
        """The id of a new object. Raises TrackerError where it is not the one that was meant."""
        made = self._line.parsed(f"POST {path}", shapes.made, self._line.write("POST", path, body))
        if wanted not in (None, made):
            raise TrackerError(f"POST {path}: the tracker keeps {made}, what was sent is {wanted}")
        return made

    def _move(self, tip: Tip | None, commit: str) -> TrackerError | None:
        """The refusal, where the branch is no longer (or already) what was read."""
        verb, path, body = "POST", f"{self._git}/refs", {"ref": f"refs/heads/{self._branch}", "sha": commit}
        if tip is not None:
            verb, path = "PATCH", f"{self._git}/refs/heads/{quote(self._branch)}"
            body = {"sha": commit}  # never forced
        answer: Answer = self._line.write(verb, path, body, accept=(409, 422))
        return None if answer.status < 300 else self._line.refused(f"{verb} {path}", answer)
