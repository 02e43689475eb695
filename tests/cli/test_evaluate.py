"""`dr-kfs evaluate`: two folders, scores of each pair, and what becomes of those that cannot be scored."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from dr_kfs import load_meshes
from dr_kfs.evaluation import SCORES, pair_files


@pytest.fixture
def folders(files, tmp_path: Path) -> tuple[Path, Path]:
    """Three predictions below a category, one of them in another format than its target, and one perfect."""
    predicted, target = tmp_path / "predicted", tmp_path / "target"
    for folder in (predicted, target):
        (folder / "tables").mkdir(parents=True)
    for name, ours in (("a", "broken"), ("b", "table"), ("c", "sphere")):
        shutil.copy(files["table"], target / "tables" / f"{name}.obj")
        shutil.copy(files[ours], predicted / "tables" / f"{name}.obj")
    (target / "notes.txt").write_text("no shape")
    return predicted, target


class TestPairFiles:
    def test_same_path_whatever_the_suffix(self, folders):
        predicted, target = folders
        (predicted / "tables" / "a.obj").rename(predicted / "tables" / "a.off")
        pairs = pair_files(predicted, target)
        assert [pair.name for pair in pairs] == ["tables/a", "tables/b", "tables/c"]
        assert pairs[0].predicted.suffix == ".off"

    @pytest.mark.parametrize("side", [0, 1])
    def test_a_shape_without_partner(self, folders, side):
        (folders[side] / "tables" / "b.obj").unlink()
        with pytest.raises(ValueError, match=r"lacks 1 of the shapes of the other folder: tables/b\."):
            pair_files(*folders)

    def test_two_files_of_one_name(self, folders):
        shutil.copy(folders[0] / "tables" / "a.obj", folders[0] / "tables" / "a.off")
        with pytest.raises(ValueError, match="have one name"):
            pair_files(*folders)

    def test_folders_that_are_none(self, folders, tmp_path):
        with pytest.raises(FileNotFoundError, match="is no folder"):
            pair_files(tmp_path / "nowhere", folders[1])
        (tmp_path / "empty").mkdir()
        with pytest.raises(FileNotFoundError, match="holds no shapes"):
            pair_files(tmp_path / "empty", folders[1])


class TestEvaluate:
    def test_scores_of_each_pair_and_their_means(self, dr_kfs_command, folders, tmp_path):
        table = tmp_path / "scores.csv"
        outcome = dr_kfs_command("evaluate", *folders, "--json", "-", "--csv", table, "--samples", 2000)
        assert outcome.code == 0
        report = json.loads(outcome.output)
        pairs = {one["name"]: one for one in report["pairs"]}
        same, broken, sphere = (pairs[f"tables/{name}"] for name in "bac")
        assert same["drkfs"] == 0.0
        assert 1.0 > same["f1"] > sphere["f1"]  # two samples of one surface are not the same points
        assert 0.0 < broken["drkfs"] < sphere["drkfs"]
        assert broken["target_to_predicted"] > broken["predicted_to_target"]  # a leg is missing
        assert broken["recall"] < broken["precision"]
        assert sphere["chamfer"] > same["chamfer"]
        for key in SCORES:
            values = torch.tensor([one[key] for one in pairs.values()])
            assert report["summary"][key]["mean"] == pytest.approx(values.mean().item(), rel=1e-5)
            assert report["summary"][key]["median"] == pytest.approx(values.median().item(), rel=1e-5)
        rows = list(csv.DictReader(table.read_text().splitlines()))
        assert [row["name"] for row in rows] == sorted(pairs)
        assert float(rows[0]["drkfs"]) == broken["drkfs"]

    def test_units_do_not_matter(self, dr_kfs_command, folders):
        before = json.loads(dr_kfs_command("evaluate", *folders, "--json", "-", "--samples", 500).output)
        for folder in folders:
            for path in folder.rglob("*.obj"):
                meshes = load_meshes(path)
                lines = [
                    "v {:.9g} {:.9g} {:.9g}".format(*(1000.0 * v for v in xyz)) for xyz in meshes.vertices.tolist()
                ]
                lines += ["f {} {} {}".format(*(v + 1 for v in face)) for face in meshes.faces.tolist()]
                path.write_text("\n".join(lines))
        after = json.loads(dr_kfs_command("evaluate", *folders, "--json", "-", "--samples", 500).output)
        for one, other in zip(before["pairs"], after["pairs"], strict=True):
            assert all(one[key] == pytest.approx(other[key], rel=1e-2, abs=1e-4) for key in SCORES)

    def test_a_pair_that_cannot_be_read_costs_only_itself(self, dr_kfs_command, folders, files):
        shutil.copy(files["damaged"], folders[0] / "tables" / "c.obj")
        outcome = dr_kfs_command("evaluate", *folders, "--samples", 200)
        assert outcome.code == 1
        assert "2 of 3 pairs" in outcome.output
        assert "failed: tables/c: " in outcome.error

    def test_goes_on_where_it_stopped(self, dr_kfs_command, folders, tmp_path, monkeypatch):
        rows = tmp_path / "rows.jsonl"
        options = ("--rows", rows, "--samples", 200, "--json", "-")
        whole = json.loads(dr_kfs_command("evaluate", *folders, *options).output)
        lines = rows.read_text().splitlines(keepends=True)
        assert len(lines) == 4
        rows.write_text("".join(lines[:2]) + lines[2][:20])  # cut off in the second pair
        scored = []
        import dr_kfs.cli.evaluate as command

        score = command.score_pair
        monkeypatch.setattr(command, "score_pair", lambda name, *a, **k: scored.append(name) or score(name, *a, **k))
        assert json.loads(dr_kfs_command("evaluate", *folders, *options).output) == whole
        assert scored == ["tables/b", "tables/c"]
        assert rows.read_text() == "".join(lines)

    @pytest.mark.parametrize(
        ("options", "message"),
        [(("--samples", 300), "scores of other folders or settings"), (("--tau", 0), "--tau must be positive")],
    )
    def test_settings_that_do_not_go(self, dr_kfs_command, folders, tmp_path, options, message):
        rows = tmp_path / "rows.jsonl"
        rows.write_text('{"format": "dr_kfs.evaluate/1", "settings": {}}\n')
        outcome = dr_kfs_command("evaluate", *folders, "--rows", rows, *options)
        assert outcome.code == 2
        assert message in outcome.error

    def test_the_table_names_the_worst_and_the_weights(self, dr_kfs_command, folders):
        outcome = dr_kfs_command("evaluate", *folders, "--samples", 200)
        assert "3 of 3 pairs" in outcome.output
        lines = [line for line in outcome.output.splitlines() if "tables/" in line]
        assert "tables/c" in lines[0]
        assert "hardnet-structure" in outcome.output
