"""`dr-kfs evaluate`: two folders, scores of each pair, and what becomes of those that cannot be scored."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dr_kfs import load_meshes
from dr_kfs.evaluation import SCORES, PairFiles, pair_files


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

    def test_what_is_no_shape_of_the_set(self, folders):
        for folder in folders:
            (folder / "tables" / "._a.obj").write_bytes(b"what macOS leaves")
            (folder / "__MACOSX").mkdir()
            (folder / "__MACOSX" / "d.obj").write_text("")
        (folders[1] / "tables" / "points.npz").write_bytes(b"")
        assert len(pair_files(*folders, suffixes=[".obj"])) == 3

    def test_links_that_lead_back_are_no_shapes(self, folders):
        for folder in folders:
            (folder / "tables" / "back").symlink_to(folder)
            (folder / "again").symlink_to(folder, target_is_directory=True)
        assert [pair.name for pair in pair_files(*folders)] == ["tables/a", "tables/b", "tables/c"]

    def test_the_stamp_sees_the_numbers_of_a_gltf(self, tmp_path):
        """They may stand in a file beside it."""
        buffers = [{"uri": "a%20b.bin"}, {"uri": "data:application/octet-stream;base64,AA=="}, {}, {"uri": "gone.bin"}]
        (tmp_path / "a.gltf").write_text(json.dumps({"buffers": buffers}))
        (tmp_path / "a b.bin").write_bytes(b"1")
        pair = PairFiles("a", tmp_path / "a.gltf", tmp_path / "a.gltf")
        before = pair.stamp()
        (tmp_path / "a b.bin").write_bytes(b"12")
        assert pair.stamp() != before

    def test_links_are_followed_and_dots_belong_to_names(self, folders):
        for folder in folders:
            for name in ("model.v1", "model.v2"):
                shutil.copy(folder / "tables" / "b.obj", folder / "tables" / f"{name}.obj")
            (folder / "again").symlink_to(folder / "tables", target_is_directory=True)
        names = [pair.name for pair in pair_files(*folders)]
        assert len(names) == 10
        assert {"tables/model.v1", "again/model.v2"} <= set(names)

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
        assert (report["pairs_in_all"], report["pairs_scored"]) == (3, 3)
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

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ("no mesh at all", "failed: tables/c: "),
            ("v 1e30 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\n", "chamfer is inf"),
            ("v 0 0 0\n", "failed: tables/c: "),
        ],
    )
    def test_a_pair_that_cannot_be_scored_costs_only_itself(self, dr_kfs_command, folders, tmp_path, bad, message):
        (folders[0] / "tables" / "c.obj").write_text(bad)
        files = tmp_path / "new" / "scores.csv", tmp_path / "new" / "scores.json"
        options = ("--csv", files[0], "--json", files[1], "--samples", 200)
        outcome = dr_kfs_command("evaluate", *folders, *options)
        assert outcome.code == 1
        assert "2 of 3 pairs scored; 1 missing from the means" in outcome.output
        assert message in outcome.error
        rows = list(csv.DictReader(files[0].read_text().splitlines()))
        assert [bool(row["error"]) for row in rows] == [False, False, True]
        report = json.loads(files[1].read_text())
        assert (report["pairs_in_all"], report["pairs_scored"], list(report["failed"])) == (3, 2, ["tables/c"])

    def test_an_empty_prediction_has_no_scores(self, dr_kfs_command, folders):
        (folders[0] / "tables" / "c.obj").unlink()
        np.save(folders[0] / "tables" / "c.npy", np.zeros((4, 4, 4)))
        outcome = dr_kfs_command("evaluate", *folders, "--samples", 200)
        assert outcome.code == 1
        assert "failed: tables/c: the prediction is empty: it has no points to score.\n" in outcome.error

    def test_a_file_that_is_gone_costs_only_its_pair(self, dr_kfs_command, folders, tmp_path):
        (folders[0] / "tables" / "c.obj").unlink()
        (folders[0] / "tables" / "c.obj").symlink_to(tmp_path / "nothing.obj")
        table = tmp_path / "scores.csv"
        outcome = dr_kfs_command("evaluate", *folders, "--samples", 200, "--csv", table)
        assert outcome.code == 1
        assert "failed: tables/c: [Errno 2] No such file" in outcome.error
        assert len(table.read_text().splitlines()) == 4

    def test_what_changes_while_it_is_scored_is_scored_anew(
        self, dr_kfs_command, folders, tmp_path, monkeypatch, files
    ):
        import dr_kfs.cli.evaluate as command

        score = command.score_pair

        def changes(name, *arguments, **options):
            if name == "tables/c":
                shutil.copy(files["table"], folders[0] / "tables" / "c.obj")
            return score(name, *arguments, **options)

        options = ("--rows", tmp_path / "rows.jsonl", "--samples", 200, "--json", "-")
        with monkeypatch.context() as patch:
            patch.setattr(command, "score_pair", changes)
            first = json.loads(dr_kfs_command("evaluate", *folders, *options).output)
        again = json.loads(dr_kfs_command("evaluate", *folders, *options).output)
        assert first["pairs"][2]["drkfs"] > 0.0
        assert again["pairs"][2]["drkfs"] == 0.0
        assert again["pairs"][:2] == first["pairs"][:2]

    def test_a_name_is_no_emoji(self, dr_kfs_command, folders):
        for folder in folders:
            (folder / "tables" / "a.obj").rename(folder / "tables" / ":chair:.obj")
        assert "tables/:chair:" in dr_kfs_command("evaluate", *folders, "--samples", 200).output

    def test_an_error_of_one_pair_is_no_end(self, dr_kfs_command, folders, monkeypatch):
        import dr_kfs.cli.evaluate as command

        score = command.score_pair

        def fails_once(name, *arguments, **options):
            if name == "tables/b":
                raise RuntimeError("CUDA out of memory")
            return score(name, *arguments, **options)

        monkeypatch.setattr(command, "score_pair", fails_once)
        outcome = dr_kfs_command("evaluate", *folders, "--samples", 200)
        assert outcome.code == 1
        assert "failed: tables/b: RuntimeError: CUDA out of memory" in outcome.error
        assert "2 of 3 pairs" in outcome.output

    def test_what_is_scored_is_reported_after_an_interruption(self, dr_kfs_command, folders, monkeypatch):
        import dr_kfs.cli.evaluate as command

        score = command.score_pair

        def interrupted(name, *arguments, **options):
            if name == "tables/b":
                raise KeyboardInterrupt
            return score(name, *arguments, **options)

        monkeypatch.setattr(command, "score_pair", interrupted)
        outcome = dr_kfs_command("evaluate", *folders, "--samples", 200)
        assert outcome.code == 130
        assert "1 of 3 pairs" in outcome.output

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
        shutil.copy(folders[1] / "tables" / "a.obj", folders[0] / "tables" / "a.obj")  # a better prediction
        after = json.loads(dr_kfs_command("evaluate", *folders, *options).output)
        assert scored[2:] == ["tables/a"]
        assert after["pairs"][0]["drkfs"] == 0.0

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

    def test_outputs_that_are_one_file(self, dr_kfs_command, folders, tmp_path):
        outcome = dr_kfs_command("evaluate", *folders, "--csv", tmp_path / "a", "--json", tmp_path / "a")
        assert outcome.code == 2
        assert "is --csv and --json: give each a file of its own" in outcome.error

    def test_long_names_leave_the_numbers_legible(self, dr_kfs_command, folders):
        for folder in folders:
            (folder / "tables").rename(folder / f"[bold]{'0123456789' * 5}")
        outcome = dr_kfs_command("evaluate", *folders, "--samples", 200)
        assert f"[bold]{'0123456789' * 5}/c" in outcome.output
        mean = next(line for line in outcome.output.splitlines() if line.split()[:1] == ["mean"])
        assert len([float(cell) for cell in mean.split()[1:]]) == len(SCORES)

    def test_the_table_names_the_worst_and_the_weights(self, dr_kfs_command, folders):
        outcome = dr_kfs_command("evaluate", *folders, "--samples", 200)
        assert "3 of 3 pairs" in outcome.output
        lines = [line for line in outcome.output.splitlines() if "tables/" in line]
        assert lines[0].endswith(": tables/c")
        assert "hardnet-structure" in outcome.output
