"""The host keys that somebody trusted, one a line: `NAME KIND BASE64`, as OpenSSH writes known_hosts.

Owns the file of pins. A key is pinned under the pod's name, not under its address: rented machines share
addresses and change ports. Nothing is ever added here but by `paceline pods trust`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pods.shell import PodError
from pods.supervisor import record


@dataclass(frozen=True, slots=True)
class HostKey:
    """`kind` as in ssh-ed25519; `blob` is the public key as SSH sends it."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint}"


def parse_pins(text: str) -> Mapping[str, HostKey]:
    """One key a name, the last line wins. Raises ValueError naming the line."""
    pins: dict[str, HostKey] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, kind, blob = words[:3]
            pins[name] = _host_key(kind, base64.b64decode(blob, validate=True))
        except (ValueError, binascii.Error):
            raise ValueError(f"line {number} is not NAME KIND BASE64: {line[:80]!r}") from None
    return pins


def read_pins(path: Path) -> Mapping[str, HostKey]:
    """No file, no pins. Raises PodError."""
    try:
        return parse_pins(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise PodError(f"host keys: {path} is not UTF-8") from None
    except ValueError as error:
        raise PodError(f"host keys: {path}: {error}; take it out, and trust that pod again") from None
    except OSError as error:
        raise PodError(f"host keys: cannot read {path}: {error.strerror}") from None


def pin(path: Path, name: str, key: HostKey) -> None:
    """From now on `name` has this key and no other. Raises PodError."""
    pins = {**read_pins(path), name: key}
    lines = [f"{one} {of.kind} {base64.b64encode(of.blob).decode()}\n" for one, of in sorted(pins.items())]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        record.write_bytes(path, "".join(lines).encode())
    except OSError as error:
        raise PodError(f"host keys: cannot write {path}: {error.strerror}") from None


def _host_key(kind: str, blob: bytes) -> HostKey:
    """Raises ValueError. SSH sends the length of the kind, the kind, then the rest of the key."""
    head = len(kind).to_bytes(4, "big") + kind.encode()
    if not blob.startswith(head) or len(blob) == len(head):
        raise ValueError(f"no key of kind {kind}")
    return HostKey(kind, blob)
