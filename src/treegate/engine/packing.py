"""How documents, previews and lists of effects are kept: compressed, with a checksum (zstd, RFC 8878)."""

from __future__ import annotations

import zstandard


def packed(data: bytes) -> bytes:
    """The form in which something is kept."""
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data)


def unpacked(data: bytes) -> bytes:
    """What was packed; ValueError where it is damaged."""
    try:
        return zstandard.decompress(data)
    except (zstandard.ZstdError, MemoryError) as error:  # a damaged length asks for any room
        raise ValueError(str(error)) from error
