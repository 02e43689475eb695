"""Training on repeatability: groups of views, carried pixels, the expectation that is maximised, a few steps."""

import json
from dataclasses import replace

import pytest
import torch
import typer
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

from dr_kfs import GHHDetector
from dr_kfs.datasets import split_of
from dr_kfs.datasets.splits import TRAIN_FAMILIES
from dr_kfs.rendering import Cameras, hemisphere_rig
from dr_kfs.training import evaluate_detector, train_repeatable
from dr_kfs.training.ghh_network import GHHNetwork
from dr_kfs.training.repeatability import baselines, carried
from dr_kfs.training.repeatability_loss import (
    carried_pixels,
    expected_keypoints,
    expected_repeatability,
    is_surface,
)
from dr_kfs.training.view_groups import (
    FIRST_SEED,
    ViewGroups,
    camera_of,
    collect,
    depth_of,
    view_group,
)

SIZE = 64


@pytest.fixture(scope="module")
def group():
    return view_group(0)


def dots(*pixels, strength=12.0):
    """A score that is high at some (column, row)."""
    score = torch.full((1, SIZE, SIZE), -12.0)
    for column, row in pixels:
        score[0, row, column] = strength
    return score


def plate():
    """A plate that two equal cameras see: every pixel is carried to itself."""
    camera = hemisphere_rig()[[0]]
    depth = torch.full((1, SIZE, SIZE), 2.7)
    return carried_pixels((depth, depth), (camera, camera))


def repeated(first, second, *, count=2, radius=1.5):
    to = plate()
    return expected_repeatability((first, second), (to, to), count=count, radius=radius)


class TestViewGroups:
    def test_only_shapes_of_the_training_split(self):
        for index in range(1200):
            family = TRAIN_FAMILIES[index % len(TRAIN_FAMILIES)]
            assert split_of(family, FIRST_SEED + index // len(TRAIN_FAMILIES)) == "train"

    def test_what_a_group_is(self, group):
        assert group.images.shape == group.depth.shape == (1, 4, 256, 256)
        assert not torch.equal(group.rotation[0, 0], group.rotation[0, 1])
        assert len(group.images.unique()) > 50
        assert is_surface(depth_of(group, torch.tensor([0]), torch.tensor([1]))).float().mean() < 0.5

    def test_files_are_kept_and_the_same(self, group, tmp_path):
        group.save(tmp_path / "00000.safetensors")
        paths = collect(range(1), tmp_path, console=Console(quiet=True))
        again = ViewGroups.load([*paths, *paths])
        assert len(again) == 2
        assert torch.equal(again.depth[1], group.depth[0])
        assert torch.equal(again.rotation[1], group.rotation[0])


class TestCarriedPixels:
    def test_are_where_the_measure_carries_points(self, group):
        chosen = [torch.tensor([view]) for view in (0, 1)]
        one = torch.tensor([0])
        depth = depth_of(group, one, chosen[0]), depth_of(group, one, chosen[1])
        cameras = camera_of(group, one, chosen[0]), camera_of(group, one, chosen[1])
        found = carried_pixels(depth, cameras)
        row, column = is_surface(depth[0])[0].nonzero()[::97].unbind(1)
        points = torch.stack([column, row], dim=1).float()
        both = Cameras(
            rotation=torch.cat([camera.rotation for camera in cameras]),
            translation=torch.cat([camera.translation for camera in cameras]),
        )
        pixels, visible = carried(points, torch.cat(depth), both)
        assert visible.any()
        assert not visible.all()
        assert torch.equal(found.seen[0, row, column] > 0, visible)
        expected = (pixels + 0.5) * 2 / 256 - 1
        torch.testing.assert_close(found.place[0, row, column][visible], expected[visible], atol=1e-4, rtol=0)

    def test_the_background_is_nowhere(self):
        camera = hemisphere_rig()[[0]]
        depth = torch.full((1, SIZE, SIZE), camera.far)
        found = carried_pixels((depth, depth), (camera, camera))
        assert found.seen.sum() == 0
        assert found.thinned().place.shape == (1, SIZE // 2, SIZE // 2, 2)


class TestExpectation:
    def test_gives_the_number_asked_for(self):
        score = torch.randn(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 4
        points = expected_keypoints(score, 9)
        torch.testing.assert_close(points.sum((-2, -1)), torch.full((3,), 9.0), rtol=1e-2, atol=0)

    def test_equal_scores_are_no_reason_for_more(self):
        many = dots(*((column, row) for column in range(4, 64, 10) for row in range(4, 64, 10)))
        assert expected_keypoints(many, 5).sum().item() == pytest.approx(5.0, rel=1e-2)

    @pytest.mark.parametrize(("moved", "expected"), [(0, 1.0), (1, 1.0), (4, 0.5)])
    def test_is_the_share_that_is_found_again(self, moved, expected):
        share = repeated(dots((10, 10), (40, 40)), dots((10, 10), (40 + moved, 40)))
        assert share.item() == pytest.approx(expected, abs=0.02)

    def test_a_line_is_not_a_point(self):
        line = dots(*((column, 30) for column in range(SIZE)))
        corner = dots((20, 30))
        assert repeated(line, line, count=7) < 0.6 < repeated(corner, corner, count=1)

    def test_its_gradient_moves_points_towards_each_other(self):
        first, second = dots((10, 10), (40, 40), strength=3.0), dots((10, 10), (30, 40), strength=3.0)
        first.requires_grad_()
        (gradient,) = torch.autograd.grad(repeated(first, second), first)
        assert gradient[0, 10, 10] > 0 > gradient[0, 40, 40]

    def test_nothing_in_common_is_a_number(self):
        to = plate()
        hidden = replace(to, seen=torch.zeros_like(to.seen))
        score = dots((10, 10)).requires_grad_()
        share = expected_repeatability((score, score), (hidden, hidden), count=2, radius=1.5)
        (gradient,) = torch.autograd.grad(share, score)
        assert torch.isfinite(share)
        assert torch.isfinite(gradient).all()


def test_the_best_weights_are_kept_and_survive_a_checkpoint():
    network = GHHNetwork(2, 2, 5)
    for share, bias in ((0.5, 1.0), (0.7, 2.0), (0.6, 3.0)):
        with torch.no_grad():
            network.biases.fill_(bias)
        network.keep_best(share)
    again = GHHNetwork(2, 2, 5)
    again.load_state_dict(network.state_dict())
    assert again.best_share.item() == pytest.approx(0.7)
    assert (again.best_biases == 2.0).all()
    assert (again.biases == 3.0).all()


def app_of(module):
    app = typer.Typer()
    app.command()(module.main)
    return app


def command(module, *arguments):
    result = CliRunner().invoke(app_of(module), arguments)
    assert result.exit_code == 0, result.output
    return result.output


class TestCommand:
    def test_trains_resumes_and_registers(self, group, tmp_path):
        views = tmp_path / "views"
        views.mkdir()
        group.save(views / "00000.safetensors")
        small = ["--shapes", "1", "--held-out-shapes", "5", "--groups", "2", "--members", "2", "--side", "9"]
        where = ["--views", str(views), "--out", str(tmp_path), "--pairs", "1", "--check-pairs", "1"]
        state = ["--checkpoint", str(tmp_path / "state.pt"), "--log", str(tmp_path / "curve.jsonl")]
        command(train_repeatable, *small, *where, *state, "--steps", "10")
        assert "resumed at step 10" in command(train_repeatable, *small, *where, *state, "--steps", "10")
        entry = json.loads((tmp_path / "registry.json").read_text())["ghh-repeatable"]
        assert "--side 9" in entry["command"]
        assert {"repeatability_detector", "repeatability_harris"} <= set(entry["figures"])
        curve = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
        assert [line["step"] for line in curve] == [10, 10]
        assert curve[0]["checked"] == entry["figures"]["repeatability_checked"] > 0
        other = CliRunner().invoke(app_of(train_repeatable), [*small, *where, *state, "--steps", "10", "--seed", "1"])
        assert "with seed=0, not 1" in str(other.exception)
        path = str(tmp_path / "ghh-repeatable.safetensors")
        again = ["--start", path, "--name", "ghh-again", "--steps", "1", "--rate", "1e-9"]
        command(train_repeatable, *small, *where, *again)
        weights = [load_file(tmp_path / f"{name}.safetensors")["filters"] for name in ("ghh-repeatable", "ghh-again")]
        torch.testing.assert_close(weights[0], weights[1], atol=1e-6, rtol=0)  # not Harris again
        detector = GHHDetector(path)
        assert detector.filters.shape == (2, 2, 9, 9)
        assert detector(torch.zeros(1, 32, 32)).sum() == 0

    def test_evaluation_names_every_rival(self, tmp_path):
        path = tmp_path / "figures.json"
        output = command(evaluate_detector, "--pairs", "2", "--json", str(path))
        found = json.loads(path.read_text())
        assert set(found["repeatability"]) == set(evaluate_detector.CHANGES.values())
        for shares in found["repeatability"].values():
            assert set(shares) == {"ghh-shapes", *baselines()}
            assert all(0 < share <= 1 for share in shares.values())
        assert "validation" in output
