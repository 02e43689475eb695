"""Every numbered example runs, on few views and for few steps, and leaves what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dr_kfs import load_meshes


@pytest.fixture
def run_example(repository: Path, tmp_path: Path):
    def run(name: str, **settings: int | str) -> str:
        environment = {f"DRKFS_EXAMPLE_{key}": str(value) for key, value in settings.items()}
        done = subprocess.run(
            [sys.executable, "-W", "error", str(repository / "examples" / name)],
            cwd=tmp_path,
            env={**os.environ, "DRKFS_EXAMPLE_OUT": str(tmp_path), **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


def test_all_examples_are_tested(repository: Path):
    numbered = {path.name for path in (repository / "examples").glob("[0-9]*.py")}
    assert numbered == {
        "01_compare.py",
        "02_fit_mesh.py",
        "03_train_step.py",
        "04_fit_voxels.py",
        "05_implicit.py",
        "06_hybrid.py",
        "07_recall_precision.py",
    }


def test_compare(run_example, tmp_path: Path):
    output = run_example("01_compare.py", VIEWS=2)
    removed, thicker = (float(re.search(rf"{name}: +([\d.]+)", output)[1]) for name in ("removed", "thicker"))
    assert removed > thicker > 0.0
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_fit_mesh(run_example, tmp_path: Path):
    output = run_example("02_fit_mesh.py", VIEWS=1, STEPS=2, SUBDIVISIONS=1)
    assert re.findall(r"DR-KFS (\w+): [\d.]+", output) == ["before", "after"]
    assert len(load_meshes(tmp_path / "fit_mesh.obj").vertices) == 42
    assert (tmp_path / "fit_mesh.png").read_bytes().startswith(b"\x89PNG")


def test_fit_mesh_through_another_preset(run_example):
    """What it says itself is what the presets' lines say of it."""
    output = run_example("02_fit_mesh.py", VIEWS=1, STEPS=1, SUBDIVISIONS=1, PRESET="fine")
    own = re.findall(r"DR-KFS \w+: ([\d.]+)", output)
    judged = dict(re.findall(r"by the preset (\w+): ([\d.]+) before", output))
    assert judged.keys() == {"default", "fine"}
    assert judged["fine"] == own[0] != judged["default"]


def test_train_step(run_example):
    losses = [float(value) for value in re.findall(r"loss ([\d.]+)", run_example("03_train_step.py", VIEWS=1, STEPS=3))]
    assert len(losses) == 3
    assert losses[-1] < losses[0]


def test_fit_voxels(run_example, tmp_path: Path):
    """One start that the soft form alone can mend; a few steps do not finish it."""
    output = run_example("04_fit_voxels.py", GRID=14, STEPS=24, VIEWS=4, IMAGE=48, STARTS="missing")
    grown = {form: float(value) for form, value in re.findall(r"missing +(\w+): .* with the part ([\d.]+)", output)}
    assert grown.keys() == {"start", "soft", "hard"}
    assert grown["start"] == 0.0
    assert grown["soft"] > grown["hard"]
    assert (tmp_path / "fit_voxels.png").read_bytes().startswith(b"\x89PNG")


def test_implicit(run_example, tmp_path: Path):
    output = run_example("05_implicit.py", RESOLUTION=32, STEPS=5, VIEWS=2, IMAGE=48)
    first, last = (float(value) for value in re.findall(r"loss ([\d.]+)", output))
    assert last < first
    assert re.findall(r"DR-KFS (\w+): [\d.]+", output) == ["before", "after"]
    assert len(load_meshes(tmp_path / "implicit.obj").faces) > 0
    assert (tmp_path / "implicit.png").read_bytes().startswith(b"\x89PNG")


def test_hybrid(run_example, tmp_path: Path):
    output = run_example("06_hybrid.py", VIEWS=1, STEPS=4, SUBDIVISIONS=1, SAMPLES=512)
    drkfs, chamfer = (
        [float(value) for value in re.findall(rf"(?:itself|inside): .*{name} ([\d.]+)", output)]
        for name in ("drkfs", "chamfer")
    )
    assert drkfs == [0.0, 0.0]
    assert chamfer[1] > 3 * chamfer[0]
    assert "drkfs" not in output[output.index("step   1") : output.index("step   4")]
    assert "drkfs" in output[output.index("step   4") :]
    assert len(load_meshes(tmp_path / "hybrid.obj").vertices) == 42


def test_recall_precision(run_example):
    output = run_example("07_recall_precision.py", VIEWS=2, SAMPLES=8192)
    triples = re.findall(r"([\d.]+) / ([\d.]+) / ([\d.]+)", output)
    (missing, *_, extra, _, _, points_missing, points_extra) = [(float(r), float(p)) for r, p, _ in triples]
    for recall, precision in (missing, points_missing):
        assert recall < precision
    for recall, precision in (extra, points_extra):
        assert recall > precision
