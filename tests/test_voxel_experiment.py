"""The experiment of voxel fits ends, resumes, keeps what it measured; its starts and scores are what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import dr_kfs


@pytest.fixture
def load(modules_of):
    """Import a module of the experiments, whose folder is no package."""
    return modules_of("experiments")


def tiny(folder: Path, *more: str) -> list[str]:
    options = ["--grid", "12", "--steps", "2", "--shapes", "1", "--starts", "missing", "--json", str(folder / "a.json")]
    return [*options, *more]


class TestCommand:
    def test_writes_rows_and_a_picture_and_resumes(self, load, tmp_path: Path, capsys, monkeypatch):
        experiment = load("voxel_fits")
        # Few small views: what is tested here is the bookkeeping.
        renderer = dr_kfs.SoftRenderer(cameras=dr_kfs.hemisphere_rig()[:6], image_size=32)
        stages = dr_kfs.DRKFSLoss(renderer=renderer)
        monkeypatch.setattr(experiment.dr_kfs.DRKFSLoss, "from_preset", lambda preset: stages)
        assert experiment.main(tiny(tmp_path, "--forms", "hard")) == 0
        (row,) = json.loads((tmp_path / "a.json").read_text("utf-8"))["rows"]
        assert (row["number"], row["seed"], row["grid"], row["form"]) == (0, 21_000, 12, "hard")
        assert row["before"] > 0
        assert "0 of 1" in capsys.readouterr().out

        made = []
        fit = dr_kfs.VoxelFit
        monkeypatch.setattr(experiment.dr_kfs, "VoxelFit", lambda *a, **k: made.append(k["form"]) or fit(*a, **k))
        picture = tmp_path / "a.png"
        assert experiment.main(tiny(tmp_path, "--forms", "soft,hard", "--resume", "--picture", str(picture))) == 0
        assert made == ["soft"]
        rows = json.loads((tmp_path / "a.json").read_text("utf-8"))["rows"]
        assert [each["form"] for each in rows] == ["hard", "soft"]
        assert rows[0] == row
        with Image.open(picture) as image:
            assert image.size[0] > 4 * 192

    def test_refuses_unknown_starts(self, load, capsys):
        with pytest.raises(SystemExit):
            load("voxel_fits").main(["--starts", "nothing"])
        assert "expected some of blurred,missing,foreign" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("start", "good", "bad"),
        [
            ("blurred", {"after": 0.02, "score": 0.0}, {"after": 0.021, "score": 1.0}),
            ("missing", {"after": 1.0, "score": 0.6}, {"after": 0.0, "score": 0.59}),
            ("foreign", {"after": 1.0, "score": 0.05}, {"after": 0.0, "score": 0.06}),
        ],
    )
    def test_passing(self, load, start: str, good: dict, bad: dict):
        row = load("voxel_fits").Row
        rest = {"number": 0, "shape": "", "seed": 0, "grid": 64, "steps": 1, "start": start, "form": "soft"}
        rest |= {"before": 0.1, "seconds": 1.0}
        assert row(**rest, **good).passed
        assert not row(**rest, **bad).passed


class TestShapes:
    @pytest.mark.parametrize("number", range(10))
    def test_starts_differ_from_the_target_where_they_say(self, load, number: int):
        shape = load("voxel_shapes").make_shape(number, 24, 21_000)
        assert (shape.limb & shape.whole).sum() == shape.limb.sum() > 0
        missing, limb = shape.start("missing")
        assert torch.equal(missing.values[0] > 0.5, shape.whole & ~limb)
        foreign, copy = shape.start("foreign")
        assert copy.sum() == limb.sum()
        assert not (copy & shape.whole).any()
        assert torch.equal(foreign.values[0] > 0.5, shape.whole | copy)
        blurred, whole = shape.start("blurred")
        assert torch.equal(whole, shape.whole)
        assert 0 < blurred.values.max() <= 1

    def test_shapes_belong_to_the_split_for_tests(self, load):
        from dr_kfs.datasets import split_of

        shapes = load("voxel_shapes")
        for number, (family, _, _) in enumerate(shapes.LIMBS):
            assert split_of(family, shapes.TABLE_SEED + number) == "test"

    def test_scores(self, load):
        score = load("voxel_shapes").score
        limb, whole = torch.zeros(2, 12, 12, 12, dtype=torch.bool)
        limb[8:10, 4:8, 4:8] = True
        whole[2:8, 2:10, 2:10] = True

        def grid(inside: torch.Tensor) -> dr_kfs.VoxelGrid:
            return dr_kfs.VoxelGrid.in_box(inside.float()[None])

        before = grid(whole)
        assert score("missing", before, before, limb) == 0.0
        assert score("missing", before, grid(whole | limb), limb) == 1.0
        half = limb.clone()
        half[9] = False
        assert score("missing", before, grid(whole | half), limb) == 0.5
        assert score("foreign", grid(whole | limb), grid(whole | half), limb) == 0.5
        hollow = whole.clone()
        hollow[4, 5, 5] = False
        assert score("blurred", before, grid(hollow), whole) == 1.0  # as the targets are, a result is solid
