"""Training data, scores and losses; each command end to end, small."""

import json

import pytest
import torch
from typer.testing import CliRunner

from dr_kfs.datasets import generate
from dr_kfs.keypoints import GHHDetector
from dr_kfs.rendering import hemisphere_rig
from dr_kfs.training.descriptor_data import Triplets, forgivable_change, shape_triplets
from dr_kfs.training.detector_data import corner_map, label_shape
from dr_kfs.training.scores import average_precision, fpr_at_95_recall
from dr_kfs.training.train_descriptor import hardnet_loss
from dr_kfs.training.train_detector import platt
from dr_kfs.training.view_geometry import ndc_to_pixels, unproject


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


class TestViewGeometry:
    def test_unproject_inverts_project(self):
        points = 0.3 * torch.randn(20, 3)
        camera = hemisphere_rig()[[10]]
        projected = camera.project(points)[0]
        pixels = ndc_to_pixels(projected[:, :2], 256)
        torch.testing.assert_close(unproject(pixels, projected[:, 2], camera, 256), points, atol=1e-5, rtol=0)

    def test_pixel_centres(self):
        # The centre of the top left pixel of a 4-pixel image lies at (-0.75, 0.75).
        assert ndc_to_pixels(torch.tensor([[-0.75, 0.75]]), 4).tolist() == [[0.0, 0.0]]


class TestDetectorData:
    def test_a_corner_is_found_and_an_edge_is_not(self):
        image = torch.zeros(64, 64)
        image[20:, 20:] = 1.0
        corners = corner_map(image).corners
        assert len(corners) == 1
        assert (corners[0] - 19.5).abs().max() < 2

    def test_labels_of_a_shape(self, generator):
        data = label_shape(generate("chair", 1).to_meshes(), generator=generator)
        assert data.windows.shape[1:] == (25, 25)
        assert data.windows.dtype == torch.uint8
        assert 0 < data.is_keypoint.sum() < 0.5 * len(data.is_keypoint)
        # A keypoint's window holds an edge; background and plain windows are among the others.
        assert (data.windows[data.is_keypoint].flatten(1).float().std(1) > 0).all()
        assert (data.windows[~data.is_keypoint].flatten(1).float().std(1) == 0).any()

    def test_platt_calibrates(self):
        scores = torch.cat([torch.randn(4000) + 1.0, torch.randn(1000) - 1.0])
        scale, offset = platt(scores, torch.arange(5000) < 4000)
        # Two unit Gaussians at +-1 with balanced classes: the log odds are 2 x.
        assert scale.item() == pytest.approx(2.0, abs=0.3)
        assert offset.item() == pytest.approx(0.0, abs=0.2)


class TestDescriptorData:
    def test_a_forgivable_change_is_small(self, generator):
        shape = generate("chair", 1)
        before = shape.to_meshes().vertices
        moved = (forgivable_change(shape, generator=generator) - before).norm(dim=1)
        assert 0 < moved.max() < 0.3

    def test_triplets_of_a_shape(self, generator):
        data = shape_triplets(generate("table", 1), GHHDetector(), first_view=40, generator=generator)
        assert data is not None
        assert data.anchors.shape == data.positives.shape == data.negatives.shape
        assert set(data.view.tolist()) <= {40, 41, 42, 43}
        # The same place looks more alike after a forgivable change than another place does.
        a, p = data.anchors.float(), data.positives.float()
        assert (a - p).abs().mean() < (a - p.roll(7, 0)).abs().mean()


class TestScores:
    def test_average_precision(self):
        scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
        assert average_precision(scores, torch.tensor([True, False, True, False])) == pytest.approx((1 + 2 / 3) / 2)

    def test_fpr_at_95(self):
        distances = torch.cat([torch.arange(100.0), torch.tensor([0.0, 50.0, 1000.0, 2000.0])])
        assert fpr_at_95_recall(distances, torch.arange(104) < 100) == 0.5


class TestHardNetLoss:
    def test_equals_the_definition(self):
        count = 6
        a, p, n = (torch.nn.functional.normalize(torch.randn(count, 8), dim=1) for _ in range(3))
        has = torch.tensor([True, False, True, False, True, False])
        view = torch.tensor([0, 0, 1, 2, 3, 4])
        pixel = torch.tensor([[0.0, 0.0], [5.0, 5.0]] + [[100.0 * i, 0.0] for i in range(4)])
        empty = torch.zeros(count, 32, 32, dtype=torch.uint8)
        got = hardnet_loss(a, p, n[has], Triplets(empty, empty, empty, has, view, pixel))
        total = 0.0
        for i in range(count):
            rivals = [(a[i] - p[j]).norm() for j in range(count) if j != i and {i, j} != {0, 1}]
            rivals += [(a[j] - p[i]).norm() for j in range(count) if j != i and {i, j} != {0, 1}]
            rivals += [(a[i] - n[i]).norm()] if has[i] else []
            total += max(0.0, 1.0 + (a[i] - p[i]).norm().item() - min(rivals).item())
        assert got.item() == pytest.approx(total / count, abs=1e-5)


class TestCommands:
    def run(self, module, *arguments):
        import typer

        app = typer.Typer()
        app.command()(module.main)
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def test_detector(self, tmp_path):
        from dr_kfs.training import train_detector

        small = ["--shapes", "5", "--held-out-shapes", "5", "--steps", "20", "--batch", "64"]
        self.run(train_detector, *small, "--out", str(tmp_path))
        entry = json.loads((tmp_path / "registry.json").read_text())["ghh-shapes"]
        assert "--shapes 5" in entry["command"]
        assert 0 < entry["figures"]["test_average_precision"] < 1
        assert {"repeatability_detector", "repeatability_harris"} <= set(entry["figures"])
        assert GHHDetector(str(tmp_path / "ghh-shapes.safetensors"))(torch.zeros(1, 32, 32)).sum() == 0

    def test_descriptor_resumes(self, tmp_path):
        from dr_kfs.training import train_descriptor

        small = ["--shapes", "5", "--held-out-shapes", "5", "--batch", "32", "--out", str(tmp_path)]
        checkpoint = ["--checkpoint", str(tmp_path / "state.pt")]
        self.run(train_descriptor, *small, "--steps", "2", *checkpoint)
        output = self.run(train_descriptor, *small, "--steps", "2", *checkpoint)
        assert "resumed at step 2" in output
        entry = json.loads((tmp_path / "registry.json").read_text())["hardnet-shapes"]
        assert {"trained_fpr95", "untrained_fpr95", "raw_fpr95"} <= set(entry["figures"])
