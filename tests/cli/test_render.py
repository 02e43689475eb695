"""`dr-kfs render`: one picture of the views and their PoI maps."""

from __future__ import annotations

import pytest
from PIL import Image


def size_of(path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


class TestRender:
    def test_views_with_and_without_poi(self, dr_kfs_command, files, tmp_path):
        with_poi, without = tmp_path / "new" / "a.png", tmp_path / "b.png"
        outcome = dr_kfs_command("render", files["table"], "-o", with_poi, "--size", 64)
        assert (outcome.code, outcome.output, outcome.error) == (0, f"wrote {with_poi}\n", "")
        shading = ("--shading", "smooth", "--sigma", "1e-4")
        assert dr_kfs_command("render", files["table"], "-o", without, "--size", 64, "--no-poi", *shading).code == 0
        assert size_of(with_poi)[0] == size_of(without)[0] > 9 * 64
        assert size_of(with_poi)[1] == size_of(without)[1] + 3 * 68

    def test_default_name(self, dr_kfs_command, files, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert dr_kfs_command("render", files["sphere"], "--size", 16, "--no-poi").output == "wrote views.png\n"
        assert (tmp_path / "views.png").is_file()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["-o", "a.gif"], "expected a suffix of"),
            (["--sigma", "0"], "--sigma must be in (0, 1), got 0.0"),
            (["--sigma", "nan"], "--sigma must be in (0, 1), got nan"),
        ],
    )
    def test_bad_input(self, dr_kfs_command, files, tmp_path, monkeypatch, arguments, message):
        monkeypatch.chdir(tmp_path)
        outcome = dr_kfs_command("render", files["table"], *arguments)
        assert outcome.code == 2
        assert message in outcome.error
        assert not list(tmp_path.iterdir()), "nothing is written before the input is known to be good"

    def test_size_out_of_range(self, dr_kfs_command, files):
        assert dr_kfs_command("render", files["table"], "--size", 1).code == 2
