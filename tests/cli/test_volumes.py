"""`--volumes`: what the arrays of a file are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dr_kfs import VoxelGrid, load_shapes, save_mesh, save_voxels

PLACES = torch.stack(torch.meshgrid(*3 * [torch.linspace(-0.5, 0.5, 12)], indexing="ij"))
LENS = (PLACES * torch.tensor([1.0, 1.0, 3.0]).view(3, 1, 1, 1)).norm(dim=0) - 0.4
"""Negative inside; flat along the last axis."""


class TestVolumeOptions:
    def test_all_of_them(self):
        from dr_kfs.cli.volumes import volume_options

        text = "kind=logit, layout=matryoshka,level=-0.5,bounds=-1:1.5,sample=corner,variable=occ"
        assert volume_options(text, Path("a.obj"), Path("b.NPZ")) == {
            "kind": "logit",
            "layout": "matryoshka",
            "level": -0.5,
            "bounds": (-1.0, 1.5),
            "sample": "corner",
            "variable": "occ",
        }
        assert volume_options("", Path("a.obj")) == {}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("kinds=logit", "expected kind, layout, level, bounds, sample, variable before a =, got 'kinds=logit'"),
            ("logit", "expected .* before a =, got 'logit'"),
            ("kind=sdf", "kind is one of probability, logit, distance, got 'sdf'"),
            ("layout=xyy", "layout is one of xyz, .*matryoshka, got 'xyy'"),
            ("sample=", "sample is one of center, corner, got ''"),
            ("level=high", "level needs numbers, got 'high'"),
            ("level=nan", "level needs numbers, got 'nan'"),
            ("bounds=1", "bounds needs numbers, got ''"),
            ("bounds=1:1", "bounds=LOW:HIGH needs LOW < HIGH, got '1:1'"),
            ("variable=", "variable needs a name"),
            ("level=0.4,level=0.5", "level is there twice"),
        ],
    )
    def test_what_is_none(self, text, message):
        from dr_kfs.cli.volumes import volume_options

        with pytest.raises(ValueError, match=f"^--volumes: {message}"):
            volume_options(text, Path("a.npy"))


class TestVolumes:
    """Signed distances of a lens, on the axes z, y, x: read as anything else they are another one, or an error."""

    @pytest.fixture
    def lens(self, tmp_path):
        np.save(tmp_path / "lens.npy", LENS.numpy())
        said = "kind=distance,layout=zyx,sample=corner"
        save_mesh(
            load_shapes(tmp_path / "lens.npy", kind="distance", layout="zyx", sample="corner"), tmp_path / "b.obj"
        )
        return tmp_path / "lens.npy", tmp_path / "b.obj", said

    def test_compare(self, dr_kfs_command, lens):
        outcome = dr_kfs_command("compare", *lens[:2], "--volumes", lens[2], "--json")
        report = json.loads(outcome.output)
        assert report["drkfs"] == [pytest.approx(0.0, abs=1e-5)]
        assert report["volumes"] == {"kind": "distance", "layout": "zyx", "sample": "corner"}
        assert "Pass kind=" in dr_kfs_command("compare", *lens[:2]).error
        turned = dr_kfs_command("compare", *lens[:2], "--volumes", lens[2].replace("zyx", "xyz"), "--json")
        assert json.loads(turned.output)["drkfs"][0] > 0.05

    def test_render_and_fit(self, dr_kfs_command, lens, tmp_path):
        options = ("--volumes", lens[2], "-o")
        assert dr_kfs_command("render", lens[0], *options, tmp_path / "a.png", "--size", 32, "--no-poi").code == 0
        assert dr_kfs_command("fit", lens[0], *options, tmp_path / "a.obj", "--steps", 1).code == 0
        assert dr_kfs_command("fit", lens[1], *options, tmp_path / "c.obj", "--steps", 1, "--from", lens[0]).code == 0

    def test_evaluate(self, dr_kfs_command, lens, tmp_path):
        for folder, path in (("ours", lens[0]), ("theirs", lens[1])):
            (tmp_path / folder).mkdir()
            path.rename(tmp_path / folder / f"one{path.suffix}")
        command = ("evaluate", tmp_path / "ours", tmp_path / "theirs", "--samples", 100, "--rows", tmp_path / "rows")
        outcome = dr_kfs_command(*command, "--volumes", f"{lens[2]},bounds=-0.5:0.5", "--json", "-")
        report = json.loads(outcome.output)
        assert report["summary"]["drkfs"]["mean"] == pytest.approx(0.0, abs=1e-5)
        assert report["settings"]["volumes"]["bounds"] == [-0.5, 0.5]
        again = dr_kfs_command(*command, "--volumes", f"{lens[2]},bounds=-0.5:0.5", "--json", "-")
        assert json.loads(again.output) == report
        other = dr_kfs_command(*command, "--volumes", lens[2])
        assert other.code == 2
        assert "scores of other folders or settings" in other.error

    def test_no_arrays(self, dr_kfs_command, files):
        outcome = dr_kfs_command("compare", files["broken"], files["table"], "--volumes", "kind=logit")
        assert outcome.code == 2
        assert (
            outcome.error == "error: --volumes is about arrays (.mat, .npy, .npz), and there are none: leave it out.\n"
        )

    def test_a_level_of_predictions_leaves_targets_alone(self, dr_kfs_command, tmp_path):
        ours, theirs = torch.full((4, 4, 4), 0.45), torch.ones(4, 4, 4)
        np.save(tmp_path / "ours.npy", ours.numpy())
        save_voxels(VoxelGrid.in_box(theirs), tmp_path / "theirs.binvox")
        command = ("compare", tmp_path / "ours.npy", tmp_path / "theirs.binvox")
        assert "no view shows anything" in dr_kfs_command(*command).error
        assert dr_kfs_command(*command, "--volumes", "level=0.4").error == ""
