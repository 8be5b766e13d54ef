"""How many runs a tree has seen begin: never fewer than it has, whoever notes it last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from treegate.engine.workspace import AREA, GENERATION, generation, note_generation


def test_a_run_that_began_before_takes_no_number_back(tmp_path: Path):
    (tmp_path / AREA).mkdir()
    for number in (7, 5):
        note_generation(tmp_path, number)
        assert generation(tmp_path) == 7


def test_runs_of_several_cases_begin_at_once(tmp_path: Path):
    (tmp_path / AREA).mkdir()
    note_generation(tmp_path, 1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(note_generation, tmp_path), range(200, 1, -1)))
    assert generation(tmp_path) == 200


def test_what_an_older_treegate_wrote_is_read_and_replaced(tmp_path: Path):
    (tmp_path / AREA).mkdir()
    (tmp_path / AREA / GENERATION).write_text("41\n")
    assert generation(tmp_path) == 41
    note_generation(tmp_path, 42)
    assert generation(tmp_path) == 42
