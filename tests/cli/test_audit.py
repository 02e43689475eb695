"""`dr-kfs audit`: a user's own metric beside built-in ones, on few and cheap edits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

METRIC = """
def distance(predicted, target):
    return (predicted.vertices.mean(0) - target.vertices.mean(0)).norm()

def broken(predicted, target):
    return float("nan")
"""
QUICK = ("--edits", "translation,winding", "--shapes", 1, "--families", "lamp")


@pytest.fixture
def metric(tmp_path: Path) -> Path:
    path = tmp_path / "my_metric.py"
    path.write_text(METRIC)
    return path


class TestAudit:
    def test_own_metric_with_everything_written(self, dr_kfs_command, metric, tmp_path):
        outputs = {name: tmp_path / "out" / f"audit.{name}" for name in ("json", "png", "jsonl")}
        arguments = (
            *("audit", "--distance", f"{metric}:distance", "--distance", "iou", *QUICK, "--device", "cpu"),
            *("--json", outputs["json"], "--picture", outputs["png"], "--rows", outputs["jsonl"]),
        )
        outcome = dr_kfs_command(*arguments)
        assert outcome.code == 0
        report = json.loads(outputs["json"].read_text())
        assert set(report["scores"]) == {f"{metric}:distance", "iou"}
        assert report["scores"]["iou"]["monotonicity"]["translation"]["mean"] == pytest.approx(1)
        assert outputs["png"].read_bytes().startswith(b"\x89PNG")
        assert len(outputs["jsonl"].read_text().splitlines()) == 1 + len(report["rows"])
        assert "labelled pairs in order" in outcome.output
        assert all(f"wrote {path}" in outcome.output for path in outputs.values())
        before = outputs["jsonl"].read_text()
        assert dr_kfs_command(*arguments).code == 0
        assert outputs["jsonl"].read_text() == before

    def test_errors_and_prints_of_an_own_metric(self, dr_kfs_command, tmp_path):
        path = tmp_path / "prints.py"
        path.write_text("def distance(predicted, target):\n    print('hello')\n    raise KeyError('mine')\n")
        options = ("--families", "chair", "--shapes", 1, "--edits", "bars-up", "--json", "-")
        outcome = dr_kfs_command("audit", "--distance", f"{path}:distance", *options)
        assert (outcome.code, outcome.output) == (2, "")
        assert f"distance failed: KeyError: 'mine' ({path}:3)" in outcome.error
        assert "hello" in outcome.error
        path.write_text("raise SystemExit(0)\n")
        outcome = dr_kfs_command("audit", "--distance", f"{path}:distance", *options)
        assert outcome.code == 2
        assert f"{path} cannot be imported: SystemExit: 0" in outcome.error

    def test_json_to_the_terminal(self, dr_kfs_command, metric):
        outcome = dr_kfs_command("audit", "--distance", f"{metric}:distance", *QUICK, "--split", "test", "--json", "-")
        assert (outcome.code, outcome.error.strip()) == (0, "")
        report = json.loads(outcome.output)
        assert report["settings"]["split"] == "test"
        assert all(20_000 <= row["seed"] < 30_000 for row in report["rows"])

    def test_list(self, dr_kfs_command):
        outcome = dr_kfs_command("audit", "--list")
        assert outcome.code == 0
        assert all(name in outcome.output for name in ("bars-removed", "limbs-bent", "1/128", "silhouette-mse-2d"))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--distance", "nonsense"], "Unknown distance 'nonsense'"),
            (["--distance", "missing.py:distance"], "no such file"),
            (["--distance", "{metric}:nothing"], 'has no "nothing"'),
            (["--distance", "{metric}:broken"], "must return a finite number, got nan on another-shape 1 of lamp"),
            (["--distance", "iou", "--edits", "nonsense"], "Unknown edits ['nonsense']"),
            (["--distance", "iou", "--families", "nonsense"], "needs different families"),
            (["--distance", "iou", "--picture", "out.bmp"], "expected a suffix of .pdf, .png, .svg"),
            (["--distance", "iou", "--rows", "{metric}"], "no file of audit rows"),
            (["--distance", "iou", "--device", "abacus"], '--device must be "cpu" or "cuda"'),
        ],
    )
    def test_bad_input_takes_one_line(self, dr_kfs_command, metric, arguments, message):
        given = [argument.format(metric=metric) for argument in arguments]
        outcome = dr_kfs_command("audit", *QUICK, *given)
        assert (outcome.code, outcome.output) == (2, "")
        lines = [line for line in outcome.error.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1
        assert message in lines[0]
        assert "Traceback" not in outcome.error
        assert metric.read_text() == METRIC

    def test_picture_without_matplotlib_fails_before_the_work(self, dr_kfs_command, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        outcome = dr_kfs_command("audit", "--distance", "iou", *QUICK, "--picture", "out.png")
        assert outcome.code == 2
        assert outcome.error == 'error: A picture of an audit needs matplotlib: pip install "dr_kfs[visual]"\n'
