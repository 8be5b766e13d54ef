"""The vault."""

from __future__ import annotations

from treegate.engine.store.records import VaultState

RESTORED = VaultState.RESTORED


def write(*args: object) -> None:
    """Placeholder to be replaced."""
