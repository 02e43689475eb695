"""The benchmark runs, keeps what it measured, goes on after a failure, and draws what it has."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image

MACHINE = {"processor": "a processor", "cores": 2, "torch": "2", "warp": "1", "gpu": None}


def png_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size


@pytest.fixture
def load(modules_of):
    """Import a module of the benchmark, whose folder is no package."""
    return modules_of("benchmarks")


@pytest.fixture
def run(load) -> ModuleType:
    return load("run")


@pytest.fixture
def instant(load, run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list:
    """Replaces measuring: every case takes 2 s, those of 128 px fail. The cases that were asked for."""
    asked = []

    def measure_alone(case, axes, repeats):
        asked.append(case)
        if case.size == 128:
            return load("measure").Row(case=case, axes=axes, repeats=repeats, error="RuntimeError: no")
        values = {"seconds": 2.0, "spread": 0.1, "memory_mb": 30.0, "memory_how": "guessed"}
        return load("measure").Row(case=case, axes=axes, repeats=repeats, **values)

    monkeypatch.setattr(run, "measure_alone", measure_alone)
    return asked


class TestRun:
    def test_writes_numbers_and_a_picture(self, repository: Path, tmp_path: Path):
        json_path, picture = tmp_path / "new" / "bench.json", tmp_path / "new" / "bench.png"
        command = [sys.executable, "-W", "error", repository / "tests" / "benchmarks" / "run.py", "--only", "smoke"]
        command += ["--repeats", "1", "--json", json_path, "--picture", picture]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1,280 faces" in done.stdout
        report = json.loads(json_path.read_text("utf-8"))
        assert report["machine"]["torch"] == torch.__version__
        (row,) = report["rows"]
        assert row["case"]["faces"] == 1280
        for name in ("seconds", "memory_mb"):
            assert math.isfinite(row[name])
            assert row[name] > 0
        assert png_size(picture) > (500, 500)

    def test_goes_on_after_a_failure_and_resumes(self, run: ModuleType, instant: list, tmp_path: Path, capsys):
        options = ["--only", "render size", "--json", f"{tmp_path / 'a.json'}", "--picture", f"{tmp_path / 'a.png'}"]
        assert run.main(options) == 1
        assert [case.size for case in instant] == [64, 128, 256, 512]
        rows = json.loads((tmp_path / "a.json").read_text("utf-8"))["rows"]
        assert [row["error"] is None for row in rows] == [True, False, True, True]
        assert "RuntimeError: no" in capsys.readouterr().out
        instant.clear()
        assert run.main([*options, "--resume"]) == 1
        assert [case.size for case in instant] == [128]
        assert len(json.loads((tmp_path / "a.json").read_text("utf-8"))["rows"]) == 4

    def test_resumes_with_other_groups(self, run: ModuleType, instant: list, tmp_path: Path):
        options = ["--json", f"{tmp_path / 'a.json'}", "--picture", f"{tmp_path / 'a.png'}"]
        run.main([*options, "--only", "render batch"])
        instant.clear()
        run.main([*options, "--only", "render views", "--resume"])
        assert [case.views for case in instant] == [1, 5, 50, 100]
        rows = json.loads((tmp_path / "a.json").read_text("utf-8"))["rows"]
        assert next(row["axes"] for row in rows if row["case"]["views"] == 25) == ["views", "batch"]

    def test_resumes_on_the_same_machine_only(self, run: ModuleType, instant: list, tmp_path: Path, monkeypatch):
        options = ["--only", "smoke", "--json", f"{tmp_path / 'a.json'}", "--picture", f"{tmp_path / 'a.png'}"]
        run.main([*options, "--resume"])
        monkeypatch.setattr(run, "machine_facts", lambda device: {"processor": "another"})
        with pytest.raises(SystemExit, match="another processor"):
            run.main([*options, "--resume"])

    def test_says_that_pytorch3d_is_missing(self, run: ModuleType, instant: list, tmp_path: Path, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "pytorch3d", None)
        options = ["--only", "pytorch3d", "--json", f"{tmp_path / 'a.json'}", "--picture", f"{tmp_path / 'a.png'}"]
        assert run.main(options) == 0
        assert "PyTorch3D does not import here" in capsys.readouterr().out
        assert instant == []

    def test_refuses_unknown_groups(self, run: ModuleType, capsys):
        with pytest.raises(SystemExit):
            run.main(["--only", "nothing"])
        assert "render faces" in capsys.readouterr().err


class TestMeasure:
    def test_an_error_becomes_a_row(self, load):
        row = load("measure").measure_alone(load("cases").Case(what="render", faces=7), ["faces"], 1)
        assert row.seconds is None
        assert row.error == "ValueError: A sphere of equal triangles has 20 n^2 faces, got 7."

    @pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
    def test_added_memory_is_that_of_the_peak(self, load):
        block = 250_000  # float32: 1 MB, of which the C library keeps freed ones for reuse, once it has seen one
        first = torch.ones(block)
        del first
        before = [torch.ones(block) for _ in range(60)]
        del before[:-1]
        memory = load("measure").PeakMemory("cpu")
        if not memory.how.startswith("VmHWM"):
            pytest.skip("the high-water mark cannot be reset here")
        during = [torch.ones(block) for _ in range(40)]
        del during
        assert memory.added() == pytest.approx(40e6, rel=0.1)  # whole pages


class TestCases:
    def test_every_case_is_there_once(self, load):
        chosen = load("cases").choose()
        assert len({one.case for one in chosen}) == len(chosen)
        usual = next(one for one in chosen if one.case == load("cases").Case(what="render"))
        assert usual.axes == ["faces", "views", "size", "batch"]

    @pytest.mark.parametrize("faces", [20, 500, 1280])
    def test_sphere(self, load, faces: int):
        mesh = load("workloads").sphere(faces)
        assert len(mesh.faces) == faces
        assert len(mesh.vertices) == faces // 2 + 2, "closed: V - E + F = 2, E = 3 F / 2"

    @pytest.mark.parametrize("views", [1, 25, 50])
    def test_rig(self, load, views: int):
        cameras = load("workloads").rig(views)
        assert len(cameras) == views
        torch.testing.assert_close(cameras.eye.norm(dim=1), torch.full((views,), 2.732), rtol=1e-5, atol=0.0)


class TestPicture:
    def test_draws_what_there_is(self, load, tmp_path: Path):
        def row(one, number: int):
            error = "ValueError: no" if number == 0 else None
            measured = {} if error else {"seconds": 0.01 * number, "memory_mb": None if number == 1 else 10.0 * number}
            return load("measure").Row(case=one.case, axes=one.axes, repeats=1, error=error, **measured)

        rows = [row(one, number) for number, one in enumerate(load("cases").choose())]
        assert load("picture").draw(rows, MACHINE, tmp_path / "all.png")
        assert load("picture").draw(rows[2:3], MACHINE, tmp_path / "one.png")
        assert not load("picture").draw(rows[:1], MACHINE, tmp_path / "none.png")
        assert png_size(tmp_path / "all.png") > png_size(tmp_path / "one.png")
        assert not (tmp_path / "none.png").exists()
