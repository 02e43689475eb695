"""The memory that a plan promises is what a step takes, for surfaces of many translucent layers too."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from dr_kfs import (
    DRKFSLoss,
    Meshes,
    SoftRenderer,
    SoftSurface,
    VoxelGrid,
    hemisphere_rig,
    icosphere,
    normalize,
    soft_surface,
)
from dr_kfs.rendering._loose_faces import loose_faces
from dr_kfs.rendering._softras_reference import reach
from dr_kfs.rendering.fragments import soft_fragments
from dr_kfs.rendering.projection import project_meshes


@pytest.fixture
def haze() -> SoftSurface:
    """Tens of thousands of triangles, in dozens of layers."""
    values = 0.1 + 0.3 * torch.rand(1, 9, 9, 9, generator=torch.Generator().manual_seed(0))
    return soft_surface(VoxelGrid.in_box(values, (-0.3, 0.3)))


class TestExpectedFragments:
    @pytest.mark.parametrize("size", [32, 64])
    def test_is_what_the_renderer_lists(self, haze: SoftSurface, size: int):
        renderer = SoftRenderer(image_size=size)
        listed = []
        for view in (0, 6, 12, 18, 24):
            seen = project_meshes(
                haze.meshes.vertices, haze.meshes.faces, renderer.cameras[view], lighting=renderer.lighting
            )
            fragments = soft_fragments(
                *loose_faces(seen.corners, seen.faces, seen.shade, list(haze.meshes.face_offsets)),
                [len(haze.face_opacity)],
                image_size=size,
                reach=reach(renderer.sigma),
                clip=renderer.cameras.clip,
            )
            listed.append(len(fragments.face))
        assert renderer.expected_fragments(haze) == pytest.approx(max(listed), rel=0.1)  # an expectation

    def test_counts_the_largest_item(self, haze: SoftSurface):
        renderer = SoftRenderer(image_size=32)
        few = SoftSurface(normalize(icosphere(0)), torch.full((20,), 0.5))
        both = SoftSurface(Meshes.cat([few.meshes, haze.meshes]), torch.cat([few.face_opacity, haze.face_opacity]))
        assert renderer.expected_fragments(both) == pytest.approx(renderer.expected_fragments(haze))

    def test_opaque_surfaces_have_no_list_but_in_the_original_formula(self):
        sphere = normalize(icosphere(2))
        assert SoftRenderer(image_size=32).expected_fragments(sphere) == 0.0
        assert SoftRenderer(image_size=32, coverage="softras").expected_fragments(sphere) > 320

    def test_an_empty_surface_has_none(self):
        empty = soft_surface(VoxelGrid.in_box(torch.zeros(1, 3, 3, 3)))
        assert SoftRenderer(image_size=32).expected_fragments(empty) == 0.0


class TestSoftSurfaces:
    def test_the_plan_is_the_measured_peak(self, haze: SoftSurface, repository: Path, monkeypatch):
        """Of a step that is cut into one view and one of two; see `PeakMemory` for how it is measured."""
        monkeypatch.syspath_prepend(repository / "tests" / "benchmarks")
        renderer = SoftRenderer(cameras=hemisphere_rig()[[0, 9]], image_size=64, sigma=1.6e-4)
        code = DRKFSLoss(renderer=renderer, normalize="none").encode(normalize(icosphere(2)))
        few = SoftSurface(normalize(icosphere(0)), torch.full((20,), 0.5).requires_grad_())
        opacity = haze.face_opacity.clone().requires_grad_()
        surface = SoftSurface(haze.meshes, opacity)
        for view_chunk in (1, 2):
            loss = DRKFSLoss(renderer=renderer, normalize="none", view_chunk=view_chunk)
            loss(few, code).backward()  # what is loaded and made once is no part of a step
            memory = importlib.import_module("measure").PeakMemory("cpu")
            if not memory.how.startswith("VmHWM"):
                pytest.skip("the high-water mark cannot be reset here")
            loss(surface, code).backward()
            added, plan = memory.added(), loss.step_plan(surface, code)
            assert added is not None
            assert plan.memory == pytest.approx(added, rel=0.3)

    def test_more_layers_take_smaller_chunks(self, haze: SoftSurface):
        renderer = SoftRenderer(cameras=hemisphere_rig()[:8], image_size=64)
        loss = DRKFSLoss(renderer=renderer, normalize="none", max_memory=1.5e8)
        assert loss.step_plan(haze).views < loss.step_plan(icosphere(2)).views
        assert loss.step_plan(haze).memory <= 1.5e8
