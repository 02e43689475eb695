"""Fitting a grid: parts appear and vanish, it resumes to the same result, it refuses what does not belong."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dr_kfs import (
    DRKFSLoss,
    Meshes,
    SoftRenderer,
    VoxelFit,
    VoxelFitSettings,
    VoxelGrid,
    hemisphere_rig,
    marching_cubes,
)

SIDE = 10
SETTINGS = VoxelFitSettings(
    steps=24, image_size=48, exploring_image_size=48, views_per_step=3, explored=60, drkfs_every=6, fill_every=0
)


@pytest.fixture(scope="module")
def stages() -> DRKFSLoss:
    return DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[0, 2, 5, 11, 24]], image_size=48, sigma=3e-4))


def solids() -> tuple[torch.Tensor, torch.Tensor]:
    """A slab, and a post that stands on it."""
    slab, post = torch.zeros(2, 1, SIDE, SIDE, SIDE)
    slab[:, 1:9, 1:3, 1:9] = 1.0
    post[:, 4:6, 3:8, 4:6] = 1.0
    return slab, post


def grid_of(values: torch.Tensor) -> VoxelGrid:
    """In units of its own, off the origin."""
    return VoxelGrid.in_box(values, (2.0, 7.0))


def make(stages: DRKFSLoss, values: torch.Tensor, form="soft", **changes) -> VoxelFit:
    target = marching_cubes(grid_of(sum(solids())))
    return VoxelFit(grid_of(values), target, form=form, settings=replace(SETTINGS, **changes), drkfs=stages)


def fitted(fit: VoxelFit) -> torch.Tensor:
    while not fit.done:
        fit.step()
    return fit.volume().values > 0.5


class TestVoxelFit:
    def test_a_missing_part_appears(self, stages):
        slab, post = solids()
        before = make(stages, slab).distance()
        fit = make(stages, slab)
        inside = fitted(fit)
        assert inside[post > 0].float().mean() > 0.5
        assert fit.distance() < 0.6 * before

    def test_a_part_too_many_vanishes(self, stages):
        slab, post = solids()
        extra = post.roll(3, 1) * (1 - post)
        assert fitted(make(stages, slab + post + extra, "hard"))[extra > 0].float().mean() < 0.2

    def test_a_target_stays_as_it_is(self, stages):
        slab, post = solids()
        inside = fitted(make(stages, slab + post, "hard"))
        assert (inside == (slab + post > 0)).float().mean() > 0.99

    def test_the_result_is_in_the_targets_units(self, stages):
        fit = make(stages, sum(solids()))
        volume, start = fit.volume(), grid_of(sum(solids()))
        torch.testing.assert_close(volume.origin, start.origin)
        torch.testing.assert_close(volume.spacing, start.spacing)
        torch.testing.assert_close(fit.meshes().vertices, marching_cubes(start).vertices, atol=1e-4, rtol=0)
        assert fit.distance() == pytest.approx(0.0, abs=1e-4)

    def test_terms_are_named_and_add_up(self, stages):
        fit = make(stages, solids()[0], "hard")
        first, second = fit.step(), fit.step()
        assert first.keys() == {"total", "shade", "silhouette", "drkfs"}
        assert second.keys() == {"total", "shade", "silhouette"}
        assert first["total"] == pytest.approx(sum(first.values()) - first["total"], rel=1e-5)

    def test_logits_are_probabilities(self, stages):
        slab, _ = solids()
        target = marching_cubes(grid_of(sum(solids())))
        probable = grid_of(0.1 + 0.8 * slab)
        logits = replace(probable, values=probable.values.logit(), kind="logit")
        fits = [VoxelFit(grid, target, settings=SETTINGS, drkfs=stages) for grid in (probable, logits)]
        torch.testing.assert_close(fits[0].values, fits[1].values)

    def test_probabilities_stay_off_0_and_1(self, stages):
        fit = make(stages, sum(solids()), margin=0.1)
        fit.step()
        assert fit.values.detach().min() >= 0.1
        assert fit.values.detach().max() <= 0.9

    def test_what_no_view_sees_is_filled(self, stages):
        hollow = torch.zeros(1, SIDE, SIDE, SIDE)
        hollow[:, 1:9, 1:9, 1:9] = 1.0
        target = marching_cubes(grid_of(hollow))
        hollow[:, 3:7, 3:7, 3:7] = 0.0
        settings = replace(SETTINGS, fill_every=4, learning_rate=1e-6)
        fit = VoxelFit(grid_of(hollow), target, form="hard", settings=settings, drkfs=stages)
        fit.step()  # a quarter of four
        inside = fit.volume().values > 0.5
        assert inside[:, 3:7, 3:7, 3:7].all()
        assert not inside[:, 0].any()

    @pytest.mark.parametrize("steps_before", [2, 8])
    def test_a_restored_fit_goes_on_to_the_same_result(self, stages, tmp_path, steps_before):
        slab, _ = solids()
        whole = make(stages, slab, steps=10)
        fitted(whole)
        first = make(stages, slab, steps=10)
        for _ in range(steps_before):
            first.step()
        first.save(tmp_path / "state.safetensors")
        second = make(stages, slab, steps=10)
        second.restore(tmp_path / "state.safetensors")
        assert second.step_count == steps_before
        fitted(second)
        torch.testing.assert_close(second.values, whole.values, rtol=0, atol=1e-5)

    def test_a_state_of_another_fit_is_refused(self, stages, tmp_path):
        slab, post = solids()
        path = tmp_path / "state.safetensors"
        make(stages, slab).save(path)
        with pytest.raises(ValueError, match=r"another fit \(settings"):
            make(stages, slab, seed=1).restore(path)
        with pytest.raises(ValueError, match=r"another fit \(form"):
            make(stages, slab, "hard").restore(path)
        with pytest.raises(ValueError, match=r"another fit \(grid"):
            make(stages, post).restore(path)
        with pytest.raises(FileNotFoundError, match="no saved fit"):
            make(stages, slab).restore(tmp_path / "missing")

    def test_bad_input(self, stages):
        slab, _ = solids()
        target = marching_cubes(grid_of(slab))
        with pytest.raises(ValueError, match="one grid and one target, got 1 and 2"):
            VoxelFit(grid_of(slab), Meshes.cat([target, target]), drkfs=stages)
        with pytest.raises(ValueError, match="got signed distances"):
            VoxelFit(replace(grid_of(slab), kind="distance"), target, drkfs=stages)
        with pytest.raises(ValueError, match="must be positive"):
            make(stages, slab, steps=0)
        with pytest.raises(ValueError, match="must not be negative"):
            make(stages, slab, explored=-1)
        for wrong in ({"margin": 0.5}, {"sharpening": 0.0}):
            with pytest.raises(ValueError, match=r"margin must be in \(0, 0.5\) and sharpening positive"):
                make(stages, slab, **wrong)
