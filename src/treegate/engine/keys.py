"""The installation's signing key: receipts and checkpoints are signed with it. All that knows `cryptography`.

Ed25519 (RFC 8032), in the file `key` of the state directory, mode 0600: one
line with the private and the public half, so that damage to either shows.
"""

from __future__ import annotations

import base64
import os
import secrets
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from treegate.errors import NotVerified

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ALGORITHM = "ed25519"


class Key:
    """A private key in use."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @cached_property
    def public(self) -> str:
        """The public half, `ed25519:…` in base 64: enough to `verify`."""
        return f"{_ALGORITHM}:{_encode(self._private.public_key().public_bytes_raw())}"

    def sign(self, data: bytes) -> str:
        """A signature of `data`, `ed25519:…` in base 64."""
        return f"{_ALGORITHM}:{_encode(self._private.sign(data))}"

    def verify(self, data: bytes, signature: str) -> None:
        """Raise NotVerified "signature-invalid" unless this key signed exactly `data`."""
        verify(self.public, data, signature)


def create(state: Path) -> Key:
    """Make the state directory's key, durably, or load the one that is there: two who race get the same."""
    made = state / f"key.{secrets.token_hex(8)}.new"
    try:
        _write(made, _line(secrets.token_bytes(32)))
        try:
            os.link(made, state / "key")  # not rename: it must never replace a key that is there
        except FileExistsError:
            return load(state)
    finally:
        made.unlink(missing_ok=True)
    _sync_folder(state)
    return load(state)


def replace(state: Path) -> Key:
    """Make a new key in place of one that is lost or damaged, which is kept beside it; one that works stays."""
    try:
        return load(state)
    except NotVerified:
        path = state / "key"
        if path.exists():
            path.rename(state / f"key.{secrets.token_hex(8)}.damaged")
    return create(state)


def load(state: Path) -> Key:
    """The state directory's key; raises NotVerified "key-missing" or "key-damaged"."""
    path = state / "key"
    try:
        return _parsed(path.read_text("ascii"))
    except FileNotFoundError as error:
        raise _unusable(path, "missing") from error
    except ValueError as error:  # also what is not ASCII, not base 64, not three words
        raise _unusable(path, "damaged") from error


@lru_cache(maxsize=1)
def _parsed(line: str) -> Key:
    """The key that a line says; ValueError if its halves do not belong together. A run asks for it twice."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    algorithm, seed, public = line.split()
    key = Key(Ed25519PrivateKey.from_private_bytes(_decode(seed)))
    if key.public != f"{algorithm}:{public}":
        raise ValueError("the public half is another one's")
    return key


def verify(public: str, data: bytes, signature: str) -> None:
    """Raise NotVerified "signature-invalid" unless `signature` was made of `data` with the key of `public`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(_raw(public)).verify(_raw(signature), data)
    except (InvalidSignature, ValueError) as error:
        raise NotVerified(
            "the signature does not fit: the content was changed, or another key signed it",
            code="signature-invalid",
            hint="compare it with a copy kept elsewhere",
            next="treegate fsck",
        ) from error


def _line(seed: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return f"{_ALGORITHM} {_encode(seed)} {_encode(public)}\n"


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _raw(text: str) -> bytes:
    algorithm, _, encoded = text.partition(":")
    if algorithm != _ALGORITHM:
        raise ValueError(f"unknown algorithm {algorithm!r}")
    raw = _decode(encoded)
    if _encode(raw) != encoded:  # the last letter may hold bits that say nothing (RFC 4648, section 3.5)
        raise ValueError("not the one spelling of these bytes")
    return raw


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _unusable(path: Path, what: str) -> NotVerified:
    return NotVerified(
        f"the signing key {path} is {what}",
        code=f"key-{what}",
        hint="put it back from a backup; if there is none, make a new one: what the old one signed stays verifiable",
        next="treegate audit rekey",
    )
