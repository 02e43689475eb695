"""A file is replaced by a whole one or stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dr_kfs.whole_files import written_whole


def write(path: Path, text: str) -> None:
    with written_whole(path) as partial:
        assert partial.suffix == path.suffix
        partial.write_text(text)


def test_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "first")
    write(tmp_path / "a.json", "second")
    assert (tmp_path / "a.json").read_text() == "second"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "first")
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path / "a.json", "half" * 100_000 + "\udc80")
    assert (tmp_path / "a.json").read_text() == "first"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "store" / "real.json")
    write(tmp_path / "link.json", "through")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "store" / "real.json").read_text() == "through"


def test_a_device_is_written_to() -> None:
    write(Path(os.devnull), "nothing")
    assert not Path(os.devnull).is_file()


def test_permissions_are_the_users(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("")
    write(tmp_path / "whole.txt", "")
    assert (tmp_path / "whole.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode
