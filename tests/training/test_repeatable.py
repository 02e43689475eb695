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
from dr_kfs.keypoints.ghh import ghh_response
from dr_kfs.rendering import Cameras, hemisphere_rig
from dr_kfs.training import evaluate_detector, train_repeatable
from dr_kfs.training.ghh_network import Check, GHHNetwork
from dr_kfs.training.repeatability import ViewPair, baselines, carried, fewest_points, repeatability, view_pair
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
    """A plate in two views of equal cameras: every pixel is carried to itself."""
    camera = hemisphere_rig()[[0, 0]]
    depth = torch.full((2, SIZE, SIZE), 2.7)
    return carried_pixels((depth, depth), (camera, camera))


def everywhere(score):
    return torch.ones_like(score, dtype=torch.bool)


def keypoints(score, count, *, candidates=None):
    """Anywhere, if nothing else is said."""
    return expected_keypoints(score, torch.ones_like(score) if candidates is None else candidates, count)


def repeated(first, second, *, count=2, radius=1.5):
    score = torch.cat([first, second])
    return expected_repeatability(score, everywhere(score), plate(), count=count, radius=radius)


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
        points = keypoints(score, 9)
        torch.testing.assert_close(points.sum((-2, -1)), torch.full((3,), 9.0), rtol=1e-2, atol=0)

    def test_equal_scores_are_no_reason_for_more(self):
        many = dots(*((column, row) for column in range(4, 64, 10) for row in range(4, 64, 10)))
        assert keypoints(many, 5).sum().item() == pytest.approx(5.0, rel=1e-2)

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
        score = dots((10, 10)).repeat(2, 1, 1).requires_grad_()
        share = expected_repeatability(score, everywhere(score), hidden, count=2, radius=1.5)
        (gradient,) = torch.autograd.grad(share, score)
        assert torch.isfinite(share)
        assert torch.isfinite(gradient).all()

    def test_each_view_is_looked_for_in_the_other_of_its_pair(self):
        one, two = dots((10, 10)), dots((40, 40))
        alike, crossed = torch.cat([one, two, one, two]), torch.cat([one, one, two, two])
        to = plate()
        to = replace(to, **{name: value.repeat(2, *[1] * (value.ndim - 1)) for name, value in vars(to).items()})
        for score, expected in ((alike, 1.0), (crossed, 0.0)):
            share = expected_repeatability(score, everywhere(score), to, count=1, radius=1.5)
            assert share.item() == pytest.approx(expected, abs=0.02)


class TestCandidates:
    """Keypoints that count are where both views see the surface, or beside the shape."""

    def test_the_number_is_of_candidates(self):
        score = torch.randn(2, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 4
        candidates = torch.ones_like(score)
        candidates[:, :, : SIZE // 2] = 0.0
        points = keypoints(score, 6, candidates=candidates)
        assert points[candidates == 0].abs().max() == 0
        torch.testing.assert_close(points.sum(), torch.tensor(12.0), rtol=1e-2, atol=0)

    def test_other_neighbours_must_be_exceeded(self):
        score = dots((20, 30), strength=2.0)
        score[0, 30, 23] = 9.0
        candidates = torch.ones_like(score)
        candidates[0, 30, 23] = 0.0
        assert keypoints(score, 1, candidates=candidates)[0, 30, 20] < 0.1

    def test_fewer_where_there_is_no_room(self):
        score = dots((10, 10), (40, 40))
        candidates = torch.zeros_like(score)
        candidates[0, 10, 10] = candidates[0, 40, 40] = 1.0
        assert keypoints(score, 9, candidates=candidates).sum().item() == pytest.approx(2.0, abs=1e-3)

    def share(self, *, seen, hidden, lit, count):
        """Of two points, the left one of which the other view has elsewhere."""
        score = torch.cat([dots((10, 10), (40, 40)), dots((20, 50), (40, 40))])
        left = torch.zeros_like(score)
        left[:, :, : SIZE // 2] = 1.0
        to = replace(plate(), seen=1.0 - left * (1.0 - seen), hidden=left * hidden)
        return expected_repeatability(score, (1.0 - left * (1.0 - lit)) > 0, to, count=count, radius=1.5).item()

    def test_what_counts(self):
        assert self.share(seen=1.0, hidden=0.0, lit=1.0, count=2) == pytest.approx(0.5, abs=0.02)  # on the surface
        assert self.share(seen=0.0, hidden=0.0, lit=1.0, count=2) == pytest.approx(0.5, abs=0.02)  # beside the shape
        assert self.share(seen=0.0, hidden=1.0, lit=1.0, count=1) == pytest.approx(1.0, abs=0.02)  # not in view
        assert self.share(seen=0.0, hidden=0.0, lit=0.0, count=1) == pytest.approx(1.0, abs=0.02)  # in the dark

    def test_a_point_beside_the_shape_finds_none(self):
        score = torch.cat([dots((40, 40)), dots((40, 40))])
        to = plate()
        to.seen[1] = 0.0
        share = expected_repeatability(score, everywhere(score), to, count=1, radius=1.5)
        assert share.item() == pytest.approx(0.0, abs=0.02)


class Recorded(Check):
    """A check that takes no time, and may end the training."""

    def shares(self, network):
        if self.numbers:
            raise KeyboardInterrupt
        return {"view": 0.4, "triangles": 0.6}


def trained(group, network, *, check=None, steps=6, harris_steps=2, check_every=100, checkpoint=None):
    train_repeatable.fit(
        network,
        group,
        steps=steps,
        harris_steps=harris_steps,
        rate=0.3,
        radius=2.0,
        pairs=1,
        average=0.75,
        seed=3,
        check=Recorded({}, {}) if check is None else check,
        check_every=check_every,
        checkpoint=checkpoint,
        log=None,
        console=Console(quiet=True),
    )


def small_network():
    torch.manual_seed(0)
    return GHHNetwork(2, 2, 5)


class TestFit:
    def test_the_loss_is_given_what_the_detector_sees_of_turned_and_shrunk_images(self, group, monkeypatch):
        seen = []

        def record(score, lit, carried, **settings):
            seen.append((score.detach(), lit, carried))
            return expected_repeatability(score, lit, carried, **settings)

        monkeypatch.setattr(train_repeatable, "expected_repeatability", record)
        trained(group, small_network(), harris_steps=0, steps=8)
        assert {score.shape for score, _, _ in seen} == {(2, 256, 256), (4, 128, 128)}
        for score, lit, to in seen:
            assert 0.05 < lit.float().mean() < 0.9
            assert torch.equal(score != score[0, 0, 0], lit)
            assert lit[(to.seen + to.hidden) > 0].float().mean() > 0.99

    def test_the_average_is_of_the_steps_after_those_towards_harris(self, group, monkeypatch):
        weights = []
        plain = GHHNetwork.average

        def record(network, decay):
            weights.append(network.filters.detach().clone())
            plain(network, decay)

        monkeypatch.setattr(GHHNetwork, "average", record)
        network = small_network()
        trained(group, network)
        assert len(weights) == 4
        expected = weights[0]
        for each in weights[1:]:
            expected = 0.75 * expected + 0.25 * each
        assert (weights[0] - weights[-1]).abs().max() > 1e-3
        torch.testing.assert_close(network.mean_filters, expected, atol=1e-6, rtol=0)
        assert torch.equal(network.best_filters, network.mean_filters)
        assert torch.equal(network.best_biases, network.mean_biases)
        assert not torch.equal(network.best_biases, network.biases)

    def test_a_resumed_run_is_the_same_run(self, group, tmp_path, monkeypatch):
        monkeypatch.setattr(train_repeatable, "REPORT_EVERY", 4)
        whole, stopped, resumed = small_network(), small_network(), small_network()
        trained(group, whole, check_every=5)
        path = tmp_path / "state.pt"
        with pytest.raises(KeyboardInterrupt):
            trained(group, stopped, check=Recorded({}, {"view": [1]}), check_every=5, checkpoint=path)
        trained(group, resumed, check_every=5, checkpoint=path)
        for name, value in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], value), name


class TestNetwork:
    def test_its_convolution_is_the_detectors_response(self, group):
        network, images = small_network(), group.images[0, :2].float() / 255.0
        with torch.no_grad():
            network.biases.normal_()
        expected = ghh_response(images, network.filters, network.biases)
        torch.testing.assert_close(network(images), expected, atol=2e-5, rtol=1e-5)
        gradients = [torch.autograd.grad(f.square().mean(), network.filters)[0] for f in (network(images), expected)]
        assert (gradients[0] - gradients[1]).norm() < 1e-4 * gradients[1].norm()

    def test_the_best_weights_are_kept_and_survive_a_checkpoint(self):
        network = GHHNetwork(2, 2, 5)
        for share, bias in ((0.5, 1.0), (0.7, 2.0), (0.6, 3.0)):
            with torch.no_grad():
                network.biases.fill_(bias)
            network.average(0.0)
            network.keep_best(share)
        again = GHHNetwork(2, 2, 5)
        again.load_state_dict(network.state_dict())
        assert again.best_share.item() == pytest.approx(0.7)
        assert (again.best_biases == 2.0).all()
        assert (again.biases == 3.0).all()

    def test_the_average_of_weights(self):
        network = GHHNetwork(2, 2, 5)
        for bias, decay in ((1.0, 0.0), (2.0, 0.5), (4.0, 0.5)):
            with torch.no_grad():
                network.biases.fill_(bias)
            network.average(decay)
        assert (network.mean_biases == 2.75).all()
        network.average(0.0)
        assert torch.equal(network.mean_biases, network.biases)

    def test_it_is_the_average_that_is_measured(self, group):
        network, images = small_network(), group.images[0, :1].float() / 255.0
        before = network.above_blank(images)
        with torch.no_grad():
            network.filters.mul_(-1.0)
        assert torch.equal(network.above_blank(images), before)
        network.average(0.0)
        assert not torch.equal(network.above_blank(images), before)


class TestCheck:
    def test_is_the_share_beside_the_rivals(self):
        chance = torch.Generator().manual_seed(0)
        pairs = [view_pair(family, 5, "view", generator=chance) for family in ("chair", "table")]
        few = torch.zeros(64, 64)
        few[20, 20], few[40, 40] = 1.0, 0.5
        pairs.append(ViewPair("plate", torch.stack([few, few]), torch.full((2, 64, 64), 2.7), hemisphere_rig()[[0, 0]]))
        network = small_network()
        check = Check.on({"view": pairs, "triangles": pairs[-1:]})
        shares = check.shares(network)
        for change, of_one in (("view", pairs), ("triangles", pairs[-1:])):
            numbers = fewest_points(baselines(), of_one)
            expected = repeatability({"network": network.above_blank, **baselines()}, of_one, numbers)
            assert shares[change] == expected["network"]
        assert check.numbers["view"][-1] == check.numbers["triangles"][0] == 2


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
        assert curve[0]["checked"] == pytest.approx((curve[0]["view"] + curve[0]["triangles"]) / 2, abs=1e-4)
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
