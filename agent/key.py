"""The keys that markers are signed with: made once by `paceline init`, read from a file or the environment.

Text, a key a line, as 64 hexadecimal digits, newest first: the first signs, all verify, so that a key is
replaced by putting a new line above the old one. A file that others may read is refused, a file that is there
is never written. No error and no `repr` shows a key.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from agent.errors import TaskError
from agent.marker import Key

VARIABLE = "PACELINE_KEY"
SIZE_B = 32
_FILE_LIMIT_B = 64 << 10
_LINE = re.compile(rf"[0-9a-fA-F]{{{2 * SIZE_B}}}")


def key_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a user's key lives: below XDG_CONFIG_HOME, or `~/.config`."""
    configured = environment.get("XDG_CONFIG_HOME", "")
    # The specification of base directories: a relative path is to be ignored.
    root = Path(configured) if Path(configured).is_absolute() else Path.home() / ".config"
    return root / "paceline" / "key"


def make_key(path: Path) -> Key | None:
    """A new key at `path`, which nobody else can read at any moment; None where there is a file already.

    Raises TaskError where it cannot be written. The file appears whole or not at all.
    """
    secret = secrets.token_bytes(SIZE_B)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write_new(beside, f"{secret.hex()}\n".encode())
            os.link(beside, path)  # like O_EXCL: never over a file or link that is there
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        if not path.parent.is_dir():
            raise TaskError(f"cannot write a key to {path}: {path.parent} is not a folder") from None
        return None
    except OSError as error:
        raise TaskError(f"cannot write a key to {path}: {error.strerror}") from None
    return _key(secret)


def load_keys(path: Path, environment: Mapping[str, str] = os.environ) -> tuple[Key, ...]:
    """The keys in the variable PACELINE_KEY if it is set, else those in the file; newest first, at least one.

    Raises TaskError for a file that is missing, readable by others or not a list of keys.
    """
    text = environment.get(VARIABLE, "")
    if text.strip():
        return _keys(text, f"the environment variable {VARIABLE}")
    return _keys(_read_private(path, key_path(environment)), str(path))


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # a umask may have taken our own right to read
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _read_private(path: Path, usual: Path) -> str:
    try:
        # A FIFO in its place must not make the agent wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise TaskError(f"no key at {path}: {_whence(path, usual)}") from None
    except OSError as error:
        raise TaskError(f"cannot read the key at {path}: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise TaskError(f"the key at {path} is not a file")
        if found.st_mode & 0o077:
            raise TaskError(f"others may read or write the key at {path}: chmod 600 {path}")
        if found.st_uid not in (os.geteuid(), 0):
            raise TaskError(f"the key at {path} belongs to another user (id {found.st_uid})")
        return os.read(descriptor, _FILE_LIMIT_B).decode("ascii", errors="replace")
    finally:
        os.close(descriptor)


def _whence(path: Path, usual: Path) -> str:
    """`paceline init` makes keys at one place only."""
    if path == usual:
        return "`paceline init` makes one"
    return (
        f"put your agents' key there, or take `key` out of the agent's file and `paceline init` makes {usual}"
    )


def _keys(text: str, where: str) -> tuple[Key, ...]:
    words = text.split()
    for number, word in enumerate(words, 1):
        if not _LINE.fullmatch(word):
            raise TaskError(f"{where}: word {number} is not a key of {2 * SIZE_B} hexadecimal digits")
    if not words:
        raise TaskError(f"{where} holds no key: delete it, and `paceline init` makes one")
    return tuple(_key(bytes.fromhex(word)) for word in dict.fromkeys(word.lower() for word in words))


def _key(secret: bytes) -> Key:
    return Key(hashlib.sha256(secret).hexdigest()[:8], secret)
