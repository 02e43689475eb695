"""Fitting a template: it gets nearer, it resumes to the same result, it refuses what does not belong."""

import pytest
import torch

from dr_kfs import DRKFSLoss, FitSettings, Meshes, MeshFit, SoftRenderer, hemisphere_rig, icosphere
from dr_kfs.datasets import generate
from dr_kfs.large_steps import LargeSteps


@pytest.fixture(scope="module")
def stages():
    return DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1, 9, 24]]))


@pytest.fixture(scope="module")
def target():
    table = generate("table", 2).to_meshes()
    return table.with_vertices(table.vertices * 30.0 + 5.0)


def make(stages, target, **changes):
    settings = FitSettings(**{"steps": 6, "views_per_step": 2, **changes})
    return MeshFit(icosphere(2), target, settings=settings, drkfs=stages)


class TestMeshFit:
    @pytest.mark.parametrize("objective", ["drkfs", "image", "silhouette"])
    def test_gets_nearer_in_the_targets_units(self, stages, target, objective):
        fit = MeshFit(
            icosphere(2),
            target,
            objective=objective,
            # One resolution: the values of two are not comparable.
            settings=FitSettings(steps=12, views_per_step=3, resolutions=(64,)),
            drkfs=stages,
        )
        first = fit.step()
        while not fit.done:
            last = fit.step()
        assert last[objective] < first[objective]
        assert set(first) == {"total", objective, "laplacian", "normal_consistency", "edge_length"}
        assert first["total"] == pytest.approx(sum(first.values()) - first["total"], rel=1e-5)
        low, high = fit.meshes().vertices.amin(0), fit.meshes().vertices.amax(0)
        assert (high - low).max() > 10.0
        assert (low > target.vertices.amin(0) - 15.0).all()

    def test_a_restored_fit_goes_on_to_the_same_result(self, stages, target, tmp_path):
        whole = make(stages, target)
        while not whole.done:
            whole.step()
        first = make(stages, target)
        for _ in range(3):
            first.step()
        first.save(tmp_path / "state.safetensors")
        second = make(stages, target)
        second.restore(tmp_path / "state.safetensors")
        assert second.step_count == 3
        while not second.done:
            second.step()
        torch.testing.assert_close(second.meshes().vertices, whole.meshes().vertices, rtol=0, atol=1e-5)

    def test_a_state_of_another_fit_is_refused(self, stages, target, tmp_path):
        path = tmp_path / "state.safetensors"
        make(stages, target).save(path)
        with pytest.raises(ValueError, match=r"another fit \(settings"):
            make(stages, target, seed=1).restore(path)
        with pytest.raises(ValueError, match=r"another fit \(target"):
            make(stages, generate("lamp", 1).to_meshes()).restore(path)
        with pytest.raises(FileNotFoundError, match="no saved fit"):
            make(stages, target).restore(tmp_path / "missing")
        path.write_bytes(b"nonsense")
        with pytest.raises(ValueError, match="is not a saved fit"):
            make(stages, target).restore(path)

    def test_the_directions_weigh_as_in_the_loss(self, stages, target):
        given = {"renderer": stages.renderer, "detector": stages.detector, "descriptor": stages.descriptor}
        weighed = DRKFSLoss(**given, recall_weight=2.0, precision_weight=0.5)
        settings = FitSettings(steps=1, views_per_step=1, resolutions=(64,))
        fit = MeshFit(icosphere(0), target, settings=settings, drkfs=weighed)
        for level in (fit.full, *fit.levels):
            assert (level.loss.recall_weight, level.loss.precision_weight) == (2.0, 0.5)

    def test_bad_input(self, stages, target):
        with pytest.raises(ValueError, match="one template and one target, got 1 and 2"):
            MeshFit(icosphere(0), Meshes.cat([target, target]), drkfs=stages)
        with pytest.raises(ValueError, match="must be positive"):
            make(stages, target, steps=0)


class TestLargeSteps:
    def test_smooths_without_moving_the_mean(self):
        sphere = icosphere(2)
        gradient = torch.zeros_like(sphere.vertices)
        gradient[7] = 1.0
        smooth = LargeSteps(sphere, smoothing=5.0).smoothed(gradient)
        torch.testing.assert_close(smooth.sum(0), gradient.sum(0), atol=1e-5, rtol=0)  # L has zero row sums
        assert (smooth > 0).all()
        assert smooth[7].max() < 0.5

    def test_zero_smoothing_changes_nothing(self):
        sphere = icosphere(1)
        gradient = torch.randn_like(sphere.vertices)
        torch.testing.assert_close(LargeSteps(sphere, smoothing=0.0).smoothed(gradient), gradient)

    def test_a_step_is_at_most_the_rate(self):
        sphere = icosphere(1)
        vertices = sphere.vertices.clone()
        LargeSteps(sphere, smoothing=1.0).step(vertices, torch.randn_like(vertices), rate=0.01)
        moved = (vertices - sphere.vertices).abs().max()
        assert 0.009 < moved < 0.0101

    def test_zero_gradient_moves_nothing(self):
        sphere = icosphere(1)
        vertices = sphere.vertices.clone()
        LargeSteps(sphere, smoothing=1.0).step(vertices, torch.zeros_like(vertices), rate=0.01)
        assert torch.equal(vertices, sphere.vertices)

    def test_negative_smoothing_is_refused(self):
        with pytest.raises(ValueError, match="must not be negative"):
            LargeSteps(icosphere(0), smoothing=-1.0)
