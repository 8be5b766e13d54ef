"""What a capture makes of the upper layer of an overlay, whatever its marks say."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from treegate.engine.sandbox.order import Case, Finding
from treegate.engine.sandbox.overlay import OverlayCapture
from treegate.engine.sandbox.view import Layer
from treegate.errors import NotVerified


def captured(folder: Path) -> list[object]:
    """What is told of the layers `lower` and `upper` in a folder."""
    lower, upper = str(folder / "lower"), str(folder / "upper")
    layer = Layer(Case(name="Smith", folder=lower), lower, upper, upper)
    with contextlib.closing(OverlayCapture(layer, None, 0)) as capture:  # type: ignore[arg-type]
        return list(capture)


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    (tmp_path / "lower/file").mkdir(parents=True)
    (tmp_path / "lower").chmod(0o750)
    (tmp_path / "upper").mkdir(mode=0o750)
    return tmp_path


def test_another_mode_of_the_case_itself_is_told(layers: Path) -> None:
    assert captured(layers) == []
    (layers / "upper").chmod(0o700)
    (found,) = captured(layers)
    assert isinstance(found, Finding)
    assert found.code == "sandbox-case-folder"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make the marks of an overlay")
@pytest.mark.parametrize("mark", [b"/../secret", b"..", b"", b"a//b", b"a\0b"])
def test_a_mark_that_names_no_place_of_the_case_is_refused(layers: Path, mark: bytes) -> None:
    (layers / "upper/moved").mkdir()
    os.setxattr(layers / "upper/moved", "trusted.overlay.redirect", mark)
    with pytest.raises(NotVerified, match="no place of the case"):
        captured(layers)
