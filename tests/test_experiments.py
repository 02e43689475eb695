"""The experiments run, go on where they stopped, and compare like with like."""

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

from dr_kfs import Meshes, icosphere, normalize
from dr_kfs.datasets import generate, split_of
from dr_kfs.geometry import PointSets, sample_surface
from dr_kfs.rendering import SoftRenderer

TINY_TRAINING = ["--steps", "2", "--batch", "2", "--train-shapes", "1", "--test-shapes", "1", "--views", "1"]
TINY_TRAINING += ["--observed", "64", "--points", "256", "--seeds", "1"]
TINY_FITS = ["--shapes", "1", "--steps", "2", "--views", "1", "--image-size", "32", "--subdivisions", "1"]
TINY_FITS += ["--samples", "64", "--measured-size", "32", "--measured-samples", "128"]


@pytest.fixture
def load(modules_of):
    """Import a module of the experiments, whose folder is no package."""
    return modules_of("experiments")


@pytest.fixture
def completion(load) -> ModuleType:
    return load("completion")


@pytest.fixture
def hybrid(load) -> ModuleType:
    return load("hybrid")


@pytest.fixture
def fits(load):
    setup = load("hybrid_fits").FitSetup(
        steps=2, views=1, image_size=32, subdivisions=1, samples=64, measured_size=32, measured_samples=128
    )
    return load("hybrid_fits").Fits(setup, "cpu")


def places(folder: Path) -> list[str]:
    return ["--json", f"{folder / 'rows.json'}", "--picture", f"{folder / 'new' / 'picture.png'}"]


def run_alone(repository: Path, name: str, *arguments: str) -> str:
    """The command as a user runs it, warnings being errors."""
    command = [sys.executable, "-W", "error", str(repository / "tests" / "experiments" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def rows_in(folder: Path) -> list[dict]:
    return json.loads((folder / "rows.json").read_text("utf-8"))["rows"]


def check_picture(folder: Path) -> None:
    with Image.open(folder / "new" / "picture.png") as image:
        assert image.format == "PNG"
        assert len(image.convert("L").histogram()) > 1
        assert image.convert("L").getextrema()[0] < image.convert("L").getextrema()[1]


class TestCompletion:
    def test_command(self, repository: Path, tmp_path: Path) -> None:
        losses = ["--losses", "CD", "QAL", "QAL lambda=1", "QAL scheduled"]
        output = run_alone(repository, "completion.py", *TINY_TRAINING, *losses, *places(tmp_path))
        rows = rows_in(tmp_path)
        trained = [row for row in rows if row["loss"] not in ("another sample", "partial view")]
        assert len(rows) - len(trained) == 4
        assert [row["loss"] for row in trained[::2]] == ["CD", "QAL", "QAL lambda=1", "QAL scheduled"]
        assert [row["split"] for row in trained] == ["known families", "new families"] * 4
        for row in rows:
            assert all(0.0 <= row[name] <= 1.0 for name in ("coverage", "spurious", "f1"))
            assert math.isfinite(row["chamfer"])
        assert "QAL scheduled" in output
        check_picture(tmp_path)

    def test_resumes(self, completion: ModuleType, tmp_path: Path, monkeypatch, capsys) -> None:
        asked = []
        train = completion.train_network
        monkeypatch.setattr(
            completion,
            "train_network",
            lambda name, seed, *rest: asked.append((name, seed)) or train(name, seed, *rest),
        )
        options = [*TINY_TRAINING, "--resume", *places(tmp_path)]
        assert completion.main([*options, "--losses", "CD"]) == 0
        assert completion.main([*options, "--losses", "CD", "QAL"]) == 0
        assert asked == [("CD", 0), ("QAL", 0)]
        assert len(rows_in(tmp_path)) == 8
        with pytest.raises(SystemExit, match="another setup"):
            completion.main([*options, "--losses", "CD", "--tau", "0.1"])
        assert "new families" in capsys.readouterr().out

    def test_stops_where_it_is_interrupted(self, completion: ModuleType, tmp_path: Path, monkeypatch) -> None:
        train = completion.train_network

        def interrupted(name: str, *rest):
            if name == "QAL":
                raise KeyboardInterrupt
            return train(name, *rest)

        monkeypatch.setattr(completion, "train_network", interrupted)
        assert completion.main([*TINY_TRAINING, "--losses", "CD", "QAL", *places(tmp_path)]) == 130
        assert {row["loss"] for row in rows_in(tmp_path)} == {"another sample", "partial view", "CD"}

    def test_order_of_trainings(self, completion: ModuleType) -> None:
        jobs = completion._jobs(list(completion.LOSSES), 3)
        assert (
            len(set(jobs)) == len(jobs) == 3 * len(completion.MAIN) + len(completion.CURVE) + len(completion.ABLATION)
        )
        assert [name for name, _ in jobs[: len(completion.MAIN)]] == list(completion.MAIN)


class TestTraining:
    @pytest.fixture
    def setup(self, completion: ModuleType):
        return completion.TrainingSetup(steps=3, batch=2, train_shapes=1, views=2, observed=64, points=256)

    @pytest.fixture
    def data(self, completion: ModuleType, setup):
        return completion.partial_views([("table", 0), ("lamp", 1)], views=2, points=256, observed=64)

    def test_the_same_seed_gives_the_same_rows(self, completion: ModuleType, setup, data) -> None:
        def row(name: str, seed: int) -> dict[str, float]:
            torch.rand(7)  # nothing may hang on torch's global generator
            return completion.measure(completion.train_network(name, seed, data, setup), data, setup)

        assert row("QAL", 1) == row("QAL", 1)
        assert row("QAL", 1) != row("QAL", 2)
        assert row("QAL", 1) != row("QAL lambda=4", 1)

    def test_all_losses_start_from_the_same_weights(self, completion: ModuleType, setup, data, monkeypatch) -> None:
        """Without a rate nothing moves."""
        still = completion.TrainingSetup(**{**vars(setup), "rate": 0.0})
        states = [completion.train_network(name, 5, data, still).state_dict() for name in ("CD", "QAL scheduled")]
        for name, initial in completion.initial_network(5).state_dict().items():
            assert all(torch.equal(state[name], initial) for state in states)
        other = completion.initial_network(6).state_dict()
        assert not torch.equal(other["coarse.0.weight"], states[0]["coarse.0.weight"])

    def test_training_brings_the_loss_down(self, completion: ModuleType, setup, data) -> None:
        longer = completion.TrainingSetup(**{**vars(setup), "steps": 25})
        before = completion.measure(completion.initial_network(0), data, longer)["chamfer"]
        for name in completion.MAIN:
            after = completion.measure(completion.train_network(name, 0, data, longer), data, longer)["chamfer"]
            assert after < 0.8 * before

    def test_the_network_does_not_see_an_order(self, completion: ModuleType, data) -> None:
        network = completion.initial_network(0)
        cloud = data.partial[:1, 0]
        coarse, fine = network(cloud)
        assert coarse.shape == (1, 256, 3)
        assert fine.shape == (1, 1024, 3)
        torch.testing.assert_close(network(cloud.flip(1))[1], fine)


class TestPartialViews:
    def test_are_on_the_surface_and_hide_something(self, load) -> None:
        shapes = [("chair", 3), ("car", 4), ("vessel", 5)]
        data = load("completion_data").partial_views(shapes, views=3, points=512, observed=256)
        assert data.partial.shape == (3, 3, 256, 3)
        for item, (family, seed) in enumerate(shapes):
            mesh = normalize(generate(family, seed).to_meshes())
            surface = sample_surface(mesh, 30_000, seed=0).points[0]
            for cloud in data.partial[item]:
                to_surface = torch.cdist(cloud, surface).amin(dim=1)
                assert to_surface.max() < 0.03, "within the spacing of the samples"
                missing = torch.cdist(data.complete[item], cloud).amin(dim=1) > 0.05
                assert missing.float().mean() > 0.2
            assert not (data.partial[item].flatten(0, 1)[:, None] == data.complete[item]).all(-1).any()

    def test_the_depth_test_of_a_sphere(self, load) -> None:
        """A point p of a sphere of radius r is seen from e where p . e > r^2, but for the pixels of the outline."""
        sphere, radius = icosphere(4), 0.5 / math.sqrt(3.0)
        renderer = SoftRenderer(image_size=128)
        mesh = normalize(sphere)
        points = sample_surface(mesh, 2000, seed=0).points[0]
        seen = load("completion_data").seen_points(points, renderer(mesh).depth[0], renderer.cameras)
        towards = points @ renderer.cameras.eye.T - radius**2
        assert seen.T[towards > 0.3].float().mean() > 0.99
        assert not seen.T[towards < -0.2].any()

    def test_splits(self, load) -> None:
        shapes = {
            name: load("completion_data").shapes_of(name, 3) for name in ("train", "known families", "new families")
        }
        assert {split_of(*shape) for shape in shapes["train"]} == {"train"}
        assert {split_of(*shape) for shape in shapes["known families"] + shapes["new families"]} == {"test"}
        assert not {family for family, _ in shapes["new families"]} & {family for family, _ in shapes["train"]}
        assert min(seed for _, seed in shapes["new families"]) >= 21_000, "earlier ones have been looked at"


class TestHybrid:
    def test_command(self, repository: Path, tmp_path: Path) -> None:
        output = run_alone(repository, "hybrid.py", *TINY_FITS, *places(tmp_path))
        rows = rows_in(tmp_path)
        assert [row["objective"] for row in rows][:4] == ["sphere", "drkfs", "qal", "chamfer"]
        assert len(rows) == 10
        for row in rows:
            assert all(math.isfinite(row[name]) for name in ("drkfs", "chamfer", "f1", "normals"))
            assert (tmp_path / row["mesh"]).is_file()
        assert "Best mean rank of those that need no help: hybrid" in output
        check_picture(tmp_path)

    def test_resumes(self, hybrid: ModuleType, load, tmp_path: Path, monkeypatch, capsys) -> None:
        asked = []
        fit = load("hybrid_fits").Fits.fit
        monkeypatch.setattr(
            load("hybrid_fits").Fits, "fit", lambda self, name, *rest: asked.append(name) or fit(self, name, *rest)
        )
        options = [*TINY_FITS, "--resume", *places(tmp_path)]
        assert hybrid.main([*options, "--objectives", "qal"]) == 0
        assert hybrid.main([*options, "--objectives", "qal", "chamfer"]) == 0
        assert asked == ["qal", "chamfer"]
        with pytest.raises(SystemExit, match="another setup"):
            hybrid.main([*options, "--steps", "3"])
        assert "mean rank" in capsys.readouterr().out

    def test_shapes_are_held_out_and_all_different(self, load) -> None:
        shapes = load("hybrid_fits").shapes(20)
        assert len(set(shapes)) == 20
        assert {split_of(*shape) for shape in shapes} == {"validation"}
        assert len({family for family, _ in shapes[:9]}) == 9

    def test_every_objective_moves_the_sphere_in_its_own_way(self, fits, load) -> None:
        target = load("hybrid_fits").target_mesh("table", 0)
        code = fits.encoded(target, measured=False)
        moved = {}
        for name in load("hybrid_fits").OBJECTIVES:
            if name == "sphere":
                continue
            moved[name] = fits.fit(name, target, code).vertices
            assert (moved[name] - fits.template.vertices).abs().max() > 1e-3
        torch.testing.assert_close(fits.fit("hybrid gradnorm", target, code).vertices, moved["hybrid gradnorm"])
        for name in ("qal", "hybrid fixed", "hybrid gradient-ratio"):
            assert (moved[name] - moved["drkfs"]).abs().max() > 1e-5

    def test_parameters_of_balancers_are_learned(self, fits, load, monkeypatch) -> None:
        made = []
        make = fits.loss
        monkeypatch.setattr(fits, "loss", lambda name: made.append(make(name)) or made[-1])
        target = load("hybrid_fits").target_mesh("table", 0)
        fits.fit("hybrid uncertainty", target, fits.encoded(target, measured=False))
        assert made[-1].balancer.log_variance.detach().abs().min() > 0.05

    def test_ranks(self, hybrid: ModuleType) -> None:
        best = {"drkfs": [0.1, 0.1], "chamfer": [0.1, 0.1], "f1": [0.9, 0.9], "normals": [0.9, 0.9]}
        tied = {"drkfs": [0.2, 0.2], "chamfer": [0.2, 0.2], "f1": [0.5, 0.5], "normals": [0.5, 0.5]}
        ranks = hybrid.mean_ranks({"sphere": best, "qal": tied, "drkfs": best, "chamfer": tied})
        assert ranks == {"qal": 2.5, "drkfs": 1.0, "chamfer": 2.5}

    def test_means_are_over_the_same_shapes(self, hybrid: ModuleType) -> None:
        rows = [{"family": family, "seed": 0, "objective": name} for family in ("a", "b") for name in ("qal", "drkfs")]
        assert hybrid.whole_shapes(rows[:-1], "objective") == [("a", 0)]
        assert hybrid.whole_shapes(rows, "objective") == [("a", 0), ("b", 0)]

    def test_normal_agreement(self, load) -> None:
        sphere = PointSets.from_meshes(icosphere(2), 200, seed=0)
        agreement = load("hybrid_fits").normal_agreement
        turned = PointSets(sphere.points, sphere.offsets, -sphere.normals)
        assert agreement(sphere, turned).item() == pytest.approx(1.0, abs=1e-5)
        corners = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        flat = Meshes.from_list([corners], [torch.tensor([[0, 1, 2]])])
        wall = Meshes.from_list([corners[:, [0, 2, 1]]], [torch.tensor([[0, 1, 2]])])
        sides = [PointSets.from_meshes(mesh, 20, seed=0) for mesh in (flat, wall)]
        assert agreement(*sides).item() == 0.0


class TestPresets:
    TINY = ("--shapes", "1", "--steps", "1", "--views", "1", "--subdivisions", "1", "--samples", "64")

    def test_runs_and_goes_on(self, load, tmp_path: Path, monkeypatch, capsys) -> None:
        experiment = load("preset_fits")
        fitted = []
        fit = experiment.dr_kfs.MeshFit
        monkeypatch.setattr(
            experiment.dr_kfs, "MeshFit", lambda *a, **k: fitted.append(k["drkfs"].preset) or fit(*a, **k)
        )
        options = [*self.TINY, "--resume", *places(tmp_path)]
        assert experiment.main([*options, "--presets", "default"]) == 0
        assert experiment.main(options) == 0
        assert fitted == ["default", "fine"]
        assert [row["preset"] for row in rows_in(tmp_path)] == fitted
        for row in rows_in(tmp_path):
            assert all(math.isfinite(row[name]) for name in experiment.COLUMNS)
            assert 0.0 < row["silhouettes"] < 1.0
        assert "means over 1 shapes" in capsys.readouterr().out
        check_picture(tmp_path)
        with pytest.raises(SystemExit, match="another setup"):
            experiment.main([*options, "--steps", "2"])

    def test_means_are_of_the_same_shapes(self, load) -> None:
        rows = [("chair", 1, "default"), ("chair", 1, "fine"), ("table", 2, "default")]
        found = load("preset_fits").whole_shapes(
            [dict(zip(("family", "seed", "preset"), row, strict=True)) for row in rows], "preset"
        )
        assert found == [("chair", 1)]
