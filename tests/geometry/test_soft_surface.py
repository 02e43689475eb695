"""Soft surfaces: they are marching cubes where everything is certain, and have a gradient where it has none."""

from __future__ import annotations

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dr_kfs import SoftRenderer, hemisphere_rig
from dr_kfs.geometry import Frame, Meshes, SoftSurface, VoxelGrid, as_meshes, marching_cubes, soft_surface
from dr_kfs.losses import ImageLoss

SIZE = 10
BOX = (0, slice(1, 5), slice(2, 8), slice(2, 8))
OTHER = (0, slice(7, 9), slice(3, 7), slice(3, 7))
"""A second box, three samples away from the first."""


def farthest(faces: Meshes, others: Meshes) -> float:
    """How far the faces are from being among the others, turned as may be: largest distance of their corners."""
    ours, theirs = (meshes.face_vertices().detach() for meshes in (faces, others))
    turned = torch.cat([theirs.roll(turn, dims=1) for turn in range(3)]).flatten(1)
    return torch.cdist(ours.flatten(1), turned, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max().item()


def drawn(surface: SoftSurface, least: float = 0.5) -> Meshes:
    """The faces that are probably there."""
    meshes, keep = surface.meshes, surface.face_opacity >= least
    return Meshes(meshes.vertices, meshes.faces[keep], (0, len(meshes.vertices)), (0, int(keep.sum())))


class TestAgainstMarchingCubes:
    @given(st.integers(0, 10**6), st.sampled_from(["probability", "logit"]))
    @settings(max_examples=20)
    def test_certain_grids_have_its_surface(self, seed: int, kind: str):
        generator = torch.Generator().manual_seed(seed)
        sign = torch.randn(1, 4, 3, 5, generator=generator, dtype=torch.float64).sign()
        logits = sign * (9 + 4 * torch.rand(sign.shape, generator=generator, dtype=torch.float64))
        grid = VoxelGrid.in_box(logits.sigmoid() if kind == "probability" else logits, kind=kind)
        hard, soft = marching_cubes(grid), soft_surface(grid)
        assert soft.meshes.face_counts == hard.face_counts  # the rest is below least_opacity
        assert (soft.face_opacity > 0.99).all()
        assert hard.face_counts == (0,) or farthest(hard, soft.meshes) < 5e-4  # logits of 9: probabilities of 1 - 1e-4

    def test_probably_there_is_what_it_draws(self):
        values = torch.where(torch.rand(1, 6, 6, 6, dtype=torch.float64) > 0.5, 0.99, 0.01)
        hard, soft = marching_cubes(VoxelGrid.in_box(values)), soft_surface(VoxelGrid.in_box(values))
        assert drawn(soft).face_counts == hard.face_counts
        assert farthest(hard, drawn(soft)) < 1e-2
        assert len(soft.face_opacity) > len(hard.faces)

    def test_pictures_agree(self):
        values = torch.zeros(1, SIZE, SIZE, SIZE)
        values[BOX] = 1.0
        renderer = SoftRenderer(cameras=hemisphere_rig()[[3]], image_size=48)
        grid = VoxelGrid.in_box(values)
        meshes = marching_cubes(grid)
        # Opaque faces by the formula of translucent ones; the one of opaque ones is another, and differs at edges.
        hard, soft = renderer(meshes, face_opacity=torch.ones(len(meshes.faces))), renderer(soft_surface(grid))
        torch.testing.assert_close(soft.alpha, hard.alpha, atol=1e-5, rtol=0)
        torch.testing.assert_close(soft.images, hard.images, atol=1e-5, rtol=0)


class TestProbabilities:
    def test_of_one_sample_in_doubt(self):
        """A single sample of p has its octahedron, each face with opacity p."""
        values = torch.zeros(1, 3, 3, 3, dtype=torch.float64)
        values[0, 1, 1, 1] = 0.3
        surface = soft_surface(VoxelGrid.in_box(values, (0.0, 3.0)))
        assert surface.meshes.face_counts == (8,)
        torch.testing.assert_close(surface.face_opacity, torch.full((8,), 0.3, dtype=torch.float64))
        away = (surface.meshes.vertices - 1.5).norm(dim=1)
        torch.testing.assert_close(away, torch.full((6,), 0.5, dtype=torch.float64))

    def test_are_the_frequencies_of_drawn_grids(self):
        """Of many grids drawn with the probabilities, so many have the face."""
        probability = torch.rand(2, 2, 2, dtype=torch.float64)
        surface = soft_surface(VoxelGrid.in_box(probability, (0.0, 2.0)), least_opacity=0.004)
        total = torch.zeros((), dtype=torch.float64)
        for case in range(256):
            bits = torch.tensor([case >> bit & 1 for bit in range(8)], dtype=torch.float64).view(2, 2, 2)
            chance = torch.where(bits > 0, probability, 1 - probability).prod()
            total = total + chance * len(marching_cubes(VoxelGrid.in_box(bits)).faces)
        lost = total - surface.face_opacity.sum()
        assert 0 <= lost < 0.02 * total  # what is below least_opacity

    def test_gradient(self):
        values = torch.rand(2, 2, 2, 2, dtype=torch.float64)
        values[values > 0.5] *= 0.9
        grid = VoxelGrid.in_box(values)

        def outputs(values: Tensor, origin: Tensor, spacing: Tensor) -> tuple[Tensor, Tensor]:
            surface = soft_surface(VoxelGrid(values, origin, spacing, grid.kind))
            return surface.meshes.vertices, surface.face_opacity

        inputs = [each.clone().requires_grad_() for each in (grid.values, grid.origin, grid.spacing)]
        # Faces enter and leave at least_opacity; none of these is so near it that a step of 1e-6 moves it across.
        assert torch.autograd.gradcheck(outputs, inputs, eps=1e-7, atol=1e-4)

    def test_gradient_of_logits(self):
        values = (2 * torch.randn(1, 2, 3, 2, dtype=torch.float64)).requires_grad_()

        def outputs(values: Tensor) -> tuple[Tensor, Tensor]:
            surface = soft_surface(VoxelGrid.in_box(values, kind="logit"))
            return surface.meshes.vertices, surface.face_opacity

        assert torch.autograd.gradcheck(outputs, [values], eps=1e-7, atol=1e-4)

    @pytest.mark.parametrize("kind", ["probability", "logit"])
    def test_finite_at_saturation(self, kind: str):
        high = 1.0 if kind == "probability" else 1e30
        values = torch.zeros(1, 4, 4, 4) if kind == "probability" else torch.full((1, 4, 4, 4), -1e30)
        values[0, 1:3, 1:3, 1:3] = high
        values.requires_grad_()
        surface = soft_surface(VoxelGrid.in_box(values, kind=kind), explore=True)
        (surface.face_opacity.sum() + surface.meshes.vertices.square().sum()).backward()
        assert surface.meshes.vertices.isfinite().all()
        assert values.grad.isfinite().all()
        assert surface.face_opacity.min() >= 0
        assert surface.face_opacity.max() <= 1


class TestChoice:
    def test_least_opacity_leaves_out(self):
        grid = VoxelGrid.in_box(torch.rand(1, 4, 4, 4))
        many, few = soft_surface(grid, least_opacity=0.005), soft_surface(grid, least_opacity=0.04)
        assert few.face_opacity.min() >= 0.04
        torch.testing.assert_close(
            few.face_opacity.sort().values, many.face_opacity[many.face_opacity >= 0.04].sort()[0]
        )

    def test_an_explored_sample_brings_its_faces(self):
        explore = torch.zeros(1, 4, 4, 4, dtype=torch.bool)
        explore[0, 1, 2, 1] = True
        values = torch.zeros(1, 4, 4, 4, requires_grad=True)
        surface = soft_surface(VoxelGrid.in_box(values), explore=explore)
        assert surface.meshes.face_counts == (8,)
        assert (surface.face_opacity == 0).all()
        surface.face_opacity.sum().backward()
        assert values.grad[explore].item() == 8.0
        # The neighbours, if they were inside, would take these faces away; but they are not there yet.
        assert (values.grad[~explore] == 0).all()

    @given(st.integers(0, 10**6))
    @settings(max_examples=5)
    def test_exploring_everything_draws_all_that_one_sample_changes(self, seed: int):
        generator = torch.Generator().manual_seed(seed)
        full = (torch.rand(1, 3, 3, 3, generator=generator) > 0.5).double()
        surface = soft_surface(VoxelGrid.in_box(full, (0.0, 3.0)), explore=True)
        for sample in range(27):
            changed = full.flatten().clone()
            changed[sample] = 1 - changed[sample]
            hard = marching_cubes(VoxelGrid.in_box(changed.view(1, 3, 3, 3), (0.0, 3.0)))
            assert hard.face_counts == (0,) or farthest(hard, surface.meshes) < 1e-9

    def test_batch_equals_loop(self):
        values = torch.rand(3, 3, 4, 3)
        values[1] = 0.0
        grid = VoxelGrid(values, torch.rand(3, 3), 0.1 + torch.rand(3, 3))
        batch = soft_surface(grid)
        assert len(batch) == 3
        assert batch.meshes.face_counts[1] == 0
        for item in range(3):
            one, part = soft_surface(grid[item]), batch[item]
            assert torch.equal(one.meshes.vertices, part.meshes.vertices)
            assert torch.equal(one.meshes.faces, part.meshes.faces)
            torch.testing.assert_close(one.face_opacity, part.face_opacity)
        turned = batch[[2, 0]]
        assert torch.equal(turned.face_opacity, torch.cat([batch[2].face_opacity, batch[0].face_opacity]))

    def test_chunks_change_nothing(self, monkeypatch: pytest.MonkeyPatch):
        values = torch.rand(2, 4, 4, 4, dtype=torch.float64, requires_grad=True)
        results = []
        for chunk in (10**6, 7):
            # By name: as an attribute of the package, it is the function.
            monkeypatch.setattr(sys.modules["dr_kfs.geometry.soft_surface"], "_CHUNK", chunk)
            surface = soft_surface(VoxelGrid.in_box(values))
            weights = torch.linspace(0, 1, len(surface.face_opacity), dtype=torch.float64)
            (gradient,) = torch.autograd.grad((weights * surface.face_opacity).sum(), values)
            results.append((surface.meshes.faces, surface.face_opacity.detach(), gradient))
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other)


class TestRefuses:
    def test_what_it_cannot_use(self):
        grid = VoxelGrid.in_box(torch.rand(1, 3, 3, 3))
        with pytest.raises(ValueError, match="probabilities or logits, got signed distances"):
            soft_surface(VoxelGrid.in_box(grid.values, kind="distance"))
        with pytest.raises(ValueError, match=r"least_opacity in \(0, 0.04\], got 0"):
            soft_surface(grid, least_opacity=0.0)
        with pytest.raises(ValueError, match=r"explore of shape \(1, 3, 3, 3\)"):
            soft_surface(grid, explore=torch.zeros(1, 2, 3, 3, dtype=torch.bool))
        with pytest.raises(ValueError, match=r"the grid: .*|item 0: expected probabilities"):
            soft_surface(VoxelGrid.in_box(2 * torch.ones(1, 3, 3, 3)))

    def test_opacities_that_do_not_go_with_the_faces(self):
        surface = soft_surface(VoxelGrid.in_box(torch.rand(1, 3, 3, 3)))
        with pytest.raises(ValueError, match="one opacity per face"):
            SoftSurface(surface.meshes, surface.face_opacity[1:])

    def test_it_is_no_mesh_and_no_target(self):
        surface = soft_surface(VoxelGrid.in_box(torch.rand(1, 3, 3, 3)))
        with pytest.raises(TypeError, match=r"got SoftSurface\. It is no mesh, and no target"):
            as_meshes(surface)
        loss = ImageLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[3]], image_size=32), normalize="each")
        with pytest.raises(TypeError, match="no target"):
            loss(surface, surface)
        with pytest.raises(ValueError, match="no box of its own"):
            loss(surface, marching_cubes(VoxelGrid.in_box(torch.ones(1, 2, 2, 2))))
        with pytest.raises(ValueError, match="leave face_opacity out"):
            loss.renderer(surface, face_opacity=surface.face_opacity)


@pytest.fixture(scope="module")
def silhouettes() -> ImageLoss:
    renderer = SoftRenderer(cameras=hemisphere_rig()[[3, 9, 15, 21]], image_size=48, sigma=1e-4)
    return ImageLoss(renderer=renderer, channel="alpha", normalize="none")


def boxes(*parts: tuple) -> Tensor:
    values = torch.zeros(1, SIZE, SIZE, SIZE)
    for part in parts:
        values[part] = 1.0
    return values


def gradient_at(loss: ImageLoss, values: Tensor, target: Meshes, form) -> Tensor:
    values = values.clone().requires_grad_()
    loss(form(VoxelGrid.in_box(values)), target).backward()
    return values.grad


class TestGrowsAndLosesParts:
    """Silhouettes in four views say where a box is missing and where one is too many."""

    @pytest.mark.parametrize("start", [0.0, 0.02, 0.1])
    def test_a_missing_part_is_called_for(self, silhouettes: ImageLoss, start: float):
        target = marching_cubes(VoxelGrid.in_box(boxes(BOX, OTHER)))
        values = 0.98 * boxes(BOX)
        values[OTHER] = start
        explore = boxes(OTHER).bool()
        soft = gradient_at(silhouettes, values, target, lambda grid: soft_surface(grid, explore=explore))
        hard = gradient_at(silhouettes, values, target, marching_cubes)
        assert (hard[OTHER] == 0).all()
        assert (soft[OTHER] < 0).float().mean() > 0.9

    def test_a_foreign_part_is_unwanted_throughout(self, silhouettes: ImageLoss):
        """Where it is two samples thick each of them fades; marching cubes moves some of its sides."""
        target = marching_cubes(VoxelGrid.in_box(boxes(BOX)))
        values = 0.9 * boxes(BOX, OTHER)
        soft = gradient_at(silhouettes, values, target, soft_surface)
        hard = gradient_at(silhouettes, values, target, marching_cubes)
        assert (soft[OTHER] > 0).all()
        assert (hard[OTHER] == 0).float().mean() > 0.2

    def test_an_empty_prediction_is_filled(self, silhouettes: ImageLoss):
        """Exactly empty: marching cubes has nothing to move."""
        target = marching_cubes(VoxelGrid.in_box(boxes(OTHER)))
        values = boxes()
        soft = gradient_at(silhouettes, values, target, lambda grid: soft_surface(grid, explore=True))
        assert soft[OTHER].max() < 0
        assert (gradient_at(silhouettes, values, target, marching_cubes) == 0).all()

    @pytest.mark.parametrize("missing", [True, False])
    def test_descent_grows_and_removes(self, silhouettes: ImageLoss, missing: bool):
        start, end = (boxes(BOX), boxes(BOX, OTHER)) if missing else (boxes(BOX, OTHER), boxes(BOX))
        target = marching_cubes(VoxelGrid.in_box(end))
        explore = boxes(OTHER).bool()
        left = []
        for form in (lambda grid: soft_surface(grid, explore=explore), marching_cubes):
            values = (0.9 * start).requires_grad_()
            optimizer = torch.optim.Adam([values], lr=0.1, eps=1e-4)
            for _ in range(10):
                loss = silhouettes(form(VoxelGrid.in_box(values)), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                with torch.no_grad():  # back to probabilities
                    values.clamp_(0.0, 0.95)
            left.append((values.detach()[OTHER] > 0.5).float().mean().item())
        soft, hard = left
        if missing:
            assert soft > 0.5
            assert hard == 0.0
        else:  # marching cubes shrinks the part too, more slowly
            assert soft == 0.0
            assert hard > 0.0

    def test_nothing_drawn_is_a_finite_loss(self, silhouettes: ImageLoss):
        values = torch.zeros(1, 4, 4, 4, requires_grad=True)
        loss = silhouettes(soft_surface(VoxelGrid.in_box(values)), marching_cubes(VoxelGrid.in_box(boxes(BOX))))
        assert loss.isfinite()


def test_frames_move_it(silhouettes: ImageLoss):
    surface = soft_surface(VoxelGrid.in_box(torch.rand(2, 3, 3, 3)))
    frame = Frame(center=torch.rand(2, 3), scale=1 + torch.rand(2))
    moved = surface.normalized(frame)
    assert moved.face_opacity is surface.face_opacity
    expected = (surface[1].meshes.vertices - frame.center[1]) / frame.scale[1]
    torch.testing.assert_close(moved[1].meshes.vertices, expected)
