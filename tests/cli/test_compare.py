"""`dr-kfs compare`: the library's numbers, as a table or as JSON, and pictures."""

from __future__ import annotations

import json
import re

import pytest
import torch

from dr_kfs import DRKFSLoss, SoftRenderer, VoxelGrid, hemisphere_rig, load_meshes, save_voxels
from dr_kfs.weights import weights_directory, weights_fingerprint


class TestCompare:
    def test_json_is_what_the_library_says(self, dr_kfs_command, files):
        outcome = dr_kfs_command("compare", files["broken"], files["table"], "--json", "--device", "cpu")
        assert (outcome.code, outcome.error) == (0, "")
        report = json.loads(outcome.output)
        loss = DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1, 9, 24]]))
        expected = loss.compare(load_meshes(files["broken"]), load_meshes(files["table"]))
        for name in ("drkfs", "predicted_to_target", "target_to_predicted", "per_view"):
            torch.testing.assert_close(torch.tensor(report[name]), torch.tensor(expected.to_dict()[name]))
        assert report["worst_views"] == expected.worst_views().tolist()
        assert report["settings"] == expected.settings
        assert (report["predicted"], report["target"]) == (str(files["broken"]), str(files["table"]))
        assert report["files"] == []

    def test_a_prediction_that_no_view_shows(self, dr_kfs_command, files, tmp_path):
        save_voxels(VoxelGrid.in_box(torch.zeros(4, 4, 4), kind="probability"), tmp_path / "empty.npz")
        outcome = dr_kfs_command("compare", tmp_path / "empty.npz", files["table"])
        assert outcome.code == 0
        assert outcome.error.startswith(f"warning: no view shows anything of {tmp_path / 'empty.npz'}: is it empty")

    def test_a_target_without_extent_is_named(self, dr_kfs_command, files, tmp_path):
        save_voxels(VoxelGrid.in_box(torch.zeros(4, 4, 4), kind="probability"), tmp_path / "empty.npz")
        outcome = dr_kfs_command("compare", files["table"], tmp_path / "empty.npz")
        assert outcome.code == 2
        assert f"{tmp_path / 'empty.npz'}: expected a shape that has a size" in outcome.error

    def test_a_narrow_terminal_shows_all_digits(self, dr_kfs_command, files, monkeypatch):
        wide = dr_kfs_command("compare", files["broken"], files["table"]).output
        monkeypatch.setenv("COLUMNS", "30")
        narrow = dr_kfs_command("compare", files["broken"], files["table"]).output
        assert re.findall(r"\d\.\d{4}", narrow) == re.findall(r"\d\.\d{4}", wide) != []

    def test_a_preset_names_all_weights(self, dr_kfs_command, files):
        outcome = dr_kfs_command("compare", files["broken"], files["table"], "--preset", "fine", "--json")
        settings = json.loads(outcome.output)["settings"]
        assert settings["preset"] == "custom"  # the fixture makes the rig smaller, and no preset has such a rig
        assert settings["descriptor"]["weights"] == "hardnet-shapes"
        assert settings["patches"]["scales"] == [1]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--preset", "best"), "preset must be one of 'default', 'fine', 'paper'"),
            (("--preset", "default", "--descriptor", "hardnet-shapes"), "A preset names all weights"),
        ],
    )
    def test_presets_that_are_none(self, dr_kfs_command, files, options, message):
        outcome = dr_kfs_command("compare", files["broken"], files["table"], *options)
        assert outcome.code == 2
        assert message in " ".join(outcome.error.split())

    def test_table_names_value_views_and_weights(self, dr_kfs_command, files, tmp_path):
        sheets = tmp_path / "new" / "sheets"
        outcome = dr_kfs_command("compare", files["broken"], files["table"], "--save-views", sheets)
        assert outcome.code == 0
        for name in ("ghh-shapes", "hardnet-structure"):
            assert f"{name} ({weights_fingerprint(name)})" in outcome.output
        assert "all 3" in outcome.output
        assert "view 0: az 45 el 0" in outcome.output
        written = {path.name for path in sheets.iterdir()}
        assert written == {
            "worst_views.png",
            "views_00-00.png",
            "views_01-02.png",
            "predicted_poi.png",
            "target_poi.png",
        }
        assert all(f"wrote {sheets / name}" in outcome.output for name in written)

    def test_identical_and_normalized(self, dr_kfs_command, files):
        def value(*arguments: object) -> float:
            outcome = dr_kfs_command("compare", *arguments, "--json")
            (found,) = json.loads(outcome.output)["drkfs"]
            return found

        assert value(files["table"], files["table"]) == 0.0
        by_target = value(files["sphere"], files["table"])
        assert value(files["sphere"], files["table"], "--normalize", "each") != pytest.approx(by_target, rel=0.01)

    def test_weights_from_a_file_are_named(self, dr_kfs_command, files):
        path = weights_directory() / "ghh-shapes.safetensors"
        outcome = dr_kfs_command("compare", files["sphere"], files["sphere"], "--detector", path)
        assert f"{path} ({weights_fingerprint('ghh-shapes')})" in outcome.output

    def test_voxels(self, dr_kfs_command, files, tmp_path):
        values = torch.zeros(12, 12, 12)
        values[3:9, 2:10, 4:8] = 1
        save_voxels(VoxelGrid.in_box(values), tmp_path / "block.binvox")
        outcome = dr_kfs_command("compare", tmp_path / "block.binvox", files["table"], "--json", "--device", "cpu")
        loss = DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1, 9, 24]]))
        expected = loss.compare(VoxelGrid.in_box(values), load_meshes(files["table"]))
        assert (outcome.code, outcome.error) == (0, "")
        assert json.loads(outcome.output)["drkfs"] == pytest.approx(expected.to_dict()["drkfs"], rel=1e-4)

    def test_several_shapes_in_a_file(self, dr_kfs_command, files, tmp_path):
        save_voxels(VoxelGrid.in_box(torch.rand(3, 4, 4, 4)), tmp_path / "batch.npz")
        outcome = dr_kfs_command("compare", tmp_path / "batch.npz", files["table"])
        assert (outcome.code, outcome.output) == (2, "")
        assert "batch.npz: expected one shape, got 3." in outcome.error

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["missing.obj", "table"], "missing.obj: expected a mesh file, got no such file."),
            (["damaged", "table"], "could not read one"),
            (["table", "table", "--detector", "nonsense"], 'Unknown weights "nonsense"'),
            (["table", "table", "--descriptor", "nonsense.pth"], "pickles are not opened"),
            (["table", "table", "--device", "abacus"], '--device must be "cpu" or "cuda", got "abacus"'),
            (["table", "table", "--device", "meta"], '--device must be "cpu" or "cuda", got "meta"'),
            (["table", "table", "--device", "cuda:99"], 'no CUDA device "cuda:99" here'),
        ],
    )
    def test_bad_input(self, dr_kfs_command, files, arguments, message):
        outcome = dr_kfs_command("compare", *(files.get(argument, argument) for argument in arguments))
        assert (outcome.code, outcome.output) == (2, "")
        assert outcome.error.startswith("error: ")
        assert outcome.error.count("\n") == 1
        assert message in outcome.error
