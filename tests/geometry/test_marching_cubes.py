"""Marching cubes against scikit-image, and the laws of a closed surface."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from skimage import measure
from torch import Tensor

from dr_kfs.geometry import Meshes, VoxelGrid, marching_cubes
from dr_kfs.geometry._marching_cubes_table import cell_table

BOUNDS = (-1.0, 1.0)


def coordinates(size: int, *, sample: str = "corner") -> tuple[Tensor, ...]:
    """x, y and z of the samples in [-1, 1]^3, float64."""
    points = VoxelGrid.in_box(torch.zeros(size, size, size, dtype=torch.float64), BOUNDS, sample=sample).points()
    return points[0].unbind(-1)


def sphere(size: int, radius: float = 0.7) -> VoxelGrid:
    """Signed distances to a sphere at the origin."""
    x, y, z = coordinates(size)
    return VoxelGrid.in_box((x**2 + y**2 + z**2).sqrt() - radius, BOUNDS, kind="distance", sample="corner")


def blobs(size: int) -> Tensor:
    """A smooth field, positive inside, that stays away from the border."""
    x, y, z = coordinates(size)
    return (
        0.6
        - (x**2 + 1.3 * y**2 + 0.8 * z**2).sqrt()
        + 0.15 * torch.sin(6 * x + 1) * torch.sin(5 * y) * torch.cos(7 * z)
    )


def directed_edges(faces: Tensor) -> Tensor:
    return torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def assert_closed(meshes: Meshes) -> None:
    """Every edge is in exactly two faces, which run through it in opposite directions; all vertices are used."""
    start, end = directed_edges(meshes.faces).unbind(1)
    key, opposite = start * len(meshes.vertices) + end, end * len(meshes.vertices) + start
    assert len(key.unique()) == len(key)
    assert torch.equal(key.sort().values, opposite.sort().values)
    assert torch.equal(meshes.faces.unique(), torch.arange(len(meshes.vertices)))


def volume(meshes: Meshes) -> Tensor:
    a, b, c = meshes.face_vertices().unbind(1)
    return (torch.linalg.cross(a, b) * c).sum() / 6


def same(one: Meshes, other: Meshes) -> bool:
    return torch.equal(one.vertices, other.vertices) and torch.equal(one.faces, other.faces)


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")  # scikit-image does
class TestAgainstScikitImage:
    @pytest.mark.parametrize(("kind", "sign"), [("logit", 1), ("distance", -1)])
    @pytest.mark.parametrize("level", [0.0, 0.1])
    def test_vertices(self, kind: str, sign: int, level: float) -> None:
        field = blobs(40)
        grid = VoxelGrid.in_box(sign * field, BOUNDS, kind=kind, sample="corner")
        ours = marching_cubes(grid, level=sign * level)
        theirs, faces, _, _ = measure.marching_cubes(field.numpy(), level, method="lewiner")
        theirs = -1.0 + 2.0 * theirs / 39
        assert (len(theirs), len(faces)) == (len(ours.vertices), len(ours.faces))
        for points, others in ((ours.vertices.numpy(), theirs), (theirs, ours.vertices.numpy())):
            assert cKDTree(points).query(others)[0].max() < 1e-5

    def test_probabilities_have_the_surface_of_their_logits(self) -> None:
        field = 8 * blobs(24).float()
        probabilities = marching_cubes(VoxelGrid.in_box(torch.sigmoid(field), BOUNDS))
        logits = marching_cubes(VoxelGrid.in_box(field, BOUNDS, kind="logit"))
        assert torch.equal(probabilities.faces, logits.faces)
        torch.testing.assert_close(probabilities.vertices, logits.vertices, atol=1e-5, rtol=0)


class TestLaws:
    @given(
        st.integers(0, 10**6),
        st.tuples(*[st.integers(1, 6)] * 3),
        st.sampled_from(["uniform", "binary", "three values"]),
        st.sampled_from([0.2, 0.5, 0.8]),
    )
    @settings(max_examples=60)
    def test_closed_on_random_fields(self, seed: int, shape: tuple[int, ...], values: str, level: float) -> None:
        field = torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed))
        if values != "uniform":
            field = (field * (2 if values == "binary" else 3)).floor() / (1 if values == "binary" else 2)
        meshes = marching_cubes(VoxelGrid.in_box(field), level=level)
        assert_closed(meshes)
        assert meshes.vertices.isfinite().all()
        assert (volume(meshes) > 0) == (field > level).any()

    def test_closed_in_every_neighbourhood_of_two_cells(self) -> None:
        """All 2^12 ways in which the twelve corners of two neighbouring cells can be inside."""
        ways = (torch.arange(4096)[:, None] >> torch.arange(12)) & 1
        meshes = marching_cubes(VoxelGrid.in_box(ways.view(-1, 3, 2, 2)))
        assert_closed(meshes)

    def test_all_cases_are_cut(self) -> None:
        counts = cell_table().counts
        assert counts.min() == 0
        assert counts.max() == 5
        assert np.flatnonzero(counts == 0).tolist() == [0, 255]

    def test_outside_is_outside(self) -> None:
        assert volume(marching_cubes(sphere(32))).item() == pytest.approx(
            4 / 3 * math.pi * 0.7**3, rel=1e-2
        )  # its vertices are on the sphere, its faces within

    def test_mirrored_axes_give_the_mirrored_surface(self) -> None:
        x, y, z = coordinates(20)
        field = 0.5 - (x**2 + y**2 + z**2).sqrt() + 0.2 * x + 0.1 * y * z
        plain = marching_cubes(VoxelGrid.in_box(field, BOUNDS, kind="logit"))
        turned = marching_cubes(VoxelGrid.in_box(field.flip(0), BOUNDS, kind="logit"))
        mirrored = plain.vertices * torch.tensor([-1.0, 1.0, 1.0])
        assert cKDTree(mirrored.numpy()).query(turned.vertices.numpy())[0].max() < 1e-12

    @pytest.mark.parametrize("kind", ["probability", "logit", "distance"])
    def test_batch_equals_loop(self, kind: str) -> None:
        grid = VoxelGrid(torch.rand(3, 7, 5, 6), torch.rand(3, 3), 0.1 + torch.rand(3, 3), kind)
        grid.values[1] = 0.0 if kind != "distance" else 9.0  # an empty item between two others
        level = None if kind == "probability" else 0.5
        meshes = marching_cubes(grid, level=level)
        assert meshes.face_counts[1] == 0
        for item in range(3):
            assert same(meshes[item], marching_cubes(grid[item], level=level))

    def test_thread_count_changes_no_bit(self) -> None:
        grid, threads = VoxelGrid.in_box(torch.rand(2, 40, 40, 40)), torch.get_num_threads()
        try:
            results = []
            for count in (1, 2):
                torch.set_num_threads(count)
                values = grid.values.clone().requires_grad_()
                meshes = marching_cubes(grid.with_values(values))
                results.append((meshes, torch.autograd.grad(meshes.vertices.square().sum(), values)[0]))
        finally:
            torch.set_num_threads(threads)
        assert same(results[0][0], results[1][0])
        assert torch.equal(results[0][1], results[1][1])

    def test_diagonal_voxels_hold_together(self) -> None:
        """Two full voxels that share an edge are one part, two that share a corner are two."""
        touching, apart = torch.zeros(2, 4, 4, 4).unbind(0)
        touching[1, 1, 1] = touching[2, 2, 1] = 1
        apart[1, 1, 1] = apart[2, 2, 2] = 1
        parts = []
        for values in (touching, apart):
            meshes = marching_cubes(VoxelGrid.in_box(values))
            label = torch.arange(len(meshes.vertices))
            for _ in range(20):
                start, end = directed_edges(meshes.faces).unbind(1)
                label = label.scatter_reduce(0, end, label[start], "amin")
            parts.append(len(label.unique()))
        assert parts == [1, 2]


class TestConventions:
    def test_axes_and_places(self) -> None:
        """One full voxel, at (1, 2, 3): its surface is centred on its sample."""
        values = torch.zeros(5, 6, 7)
        values[1, 2, 3] = 1.0
        origin, spacing = torch.tensor([[10.0, 20.0, 30.0]]), torch.tensor([[1.0, 2.0, 4.0]])
        meshes = marching_cubes(VoxelGrid(values[None], origin, spacing))
        assert_box(meshes, [10.5, 23.0, 40.0], [11.5, 25.0, 44.0])

    def test_a_full_grid_is_the_box_of_its_voxels(self) -> None:
        meshes = marching_cubes(VoxelGrid.in_box(torch.ones(3, 4, 5), ((0.0, 0.0, 0.0), (3.0, 4.0, 5.0))))
        assert_box(meshes, [0.0, 0.0, 0.0], [3.0, 4.0, 5.0])
        assert_closed(meshes)

    @pytest.mark.parametrize(
        ("kind", "inside", "beyond"),
        [("logit", math.log(1e6 - 1), 0.5), ("logit", 1e-6, 0.0), ("distance", -0.5, 0.5), ("distance", -1.5, 0.75)],
    )
    def test_the_border_closes_within_a_spacing(self, kind: str, inside: float, beyond: float) -> None:
        values = torch.full((1, 3, 3, 3), inside)
        meshes = marching_cubes(VoxelGrid.in_box(values, (0.0, 1.5), kind=kind))  # spacing 0.5
        assert_box(meshes, [0.25 - 0.5 * beyond] * 3, [1.25 + 0.5 * beyond] * 3)

    @pytest.mark.parametrize(("kind", "value"), [("probability", 0.0), ("logit", -3.0), ("distance", 2.0)])
    def test_an_empty_grid_is_an_empty_mesh(self, kind: str, value: float) -> None:
        values = torch.full((2, 4, 4, 4), value, requires_grad=True)
        meshes = marching_cubes(VoxelGrid.in_box(values, kind=kind))
        assert (meshes.vertex_counts, meshes.face_counts) == ((0, 0), (0, 0))
        meshes.vertices.sum().backward()
        assert torch.equal(values.grad, torch.zeros_like(values))

    def test_a_sample_at_the_level_is_outside(self) -> None:
        values = torch.full((1, 3, 3, 3), 0.5)
        assert marching_cubes(VoxelGrid.in_box(values)).face_counts == (0,)
        assert marching_cubes(VoxelGrid.in_box(values - 0.5, kind="distance")).face_counts == (0,)

    def test_half_precision_is_computed_in_float32(self) -> None:
        grid = VoxelGrid.in_box(torch.rand(1, 5, 5, 5).half())
        meshes = marching_cubes(grid)
        assert meshes.dtype == torch.float32
        assert same(meshes, marching_cubes(grid.to(dtype=torch.float32)))


class TestGradients:
    @pytest.mark.parametrize("kind", ["probability", "logit", "distance"])
    def test_gradcheck(self, kind: str) -> None:
        values = torch.rand(2, 3, 4, 3, dtype=torch.float64)
        values = values if kind == "probability" else 4 * values - 2
        origin, spacing = torch.rand(2, 3, dtype=torch.float64), 0.5 + torch.rand(2, 3, dtype=torch.float64)
        leaves = [leaf.requires_grad_() for leaf in (values, origin, spacing)]
        assert torch.autograd.gradcheck(lambda *parts: marching_cubes(VoxelGrid(*parts, kind)).vertices, leaves)

    def test_saturated_probabilities(self) -> None:
        """Finite places and gradients, and no snapping to the middle."""
        values = torch.zeros(1, 4, 3, 3)
        values[0, 1, 1, 1] = 1.0
        values[0, 2, 1, 1] = 0.4
        values.requires_grad_()
        meshes = marching_cubes(VoxelGrid.in_box(values, (0.0, 1.0)))
        # From the sample at 1.5 / 4, 13.8 / (13.8 + 0.405) of the way to the next.
        expected = 0.375 + 0.25 * 13.8155 / (13.8155 + math.log(0.6 / 0.4))
        assert meshes.vertices[:, 0].max().item() == pytest.approx(expected, abs=1e-5)
        meshes.vertices[:, 0].max().backward()
        assert values.grad.isfinite().all()
        assert values.grad[0, 2, 1, 1] > 0  # a fuller neighbour draws the surface to itself
        assert 0 < values.grad[0, 1, 1, 1] < 2e4

    @pytest.mark.parametrize("kind", ["probability", "logit", "distance"])
    def test_almost_equal_ends(self, kind: str) -> None:
        level = 0.5 if kind == "probability" else 0.0
        values = torch.full((1, 3, 3, 3), level, dtype=torch.float64)
        values[0, 1, 1, 1] += 1e-12 * (-1 if kind == "distance" else 1)
        values.requires_grad_()
        meshes = marching_cubes(VoxelGrid.in_box(values, (0.0, 3.0), kind=kind))
        gradient = torch.autograd.grad(meshes.vertices.square().sum(), values)[0]
        assert len(meshes.vertices) == 6
        torch.testing.assert_close(
            (meshes.vertices - 1.5).abs().sum(1), torch.full((6,), 0.5).double(), atol=1e-5, rtol=0
        )
        assert gradient.isfinite().all()

    @pytest.mark.parametrize("kind", ["logit", "distance"])
    def test_huge_values(self, kind: str) -> None:
        values = (torch.randn(1, 4, 4, 4).sign() * 3e38).requires_grad_()
        meshes = marching_cubes(VoxelGrid.in_box(values, kind=kind))
        assert meshes.vertices.isfinite().all()
        assert torch.autograd.grad(meshes.vertices.square().sum(), values)[0].isfinite().all()

    def test_radius_of_a_sphere(self) -> None:
        """Descent on the values finds a volume: gradients point the right way for each kind."""
        for kind, sign in (("probability", 1), ("logit", 1), ("distance", -1)):
            field = -sphere(16).values
            values = (torch.sigmoid(4 * field) if kind == "probability" else sign * field).requires_grad_()
            meshes = marching_cubes(VoxelGrid.in_box(values, BOUNDS, kind=kind, sample="corner"))
            gradient = torch.autograd.grad(volume(meshes), values)[0]
            assert (sign * gradient >= -1e-9).all()
            assert sign * gradient.sum() > 0


class TestRejects:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_values_that_are_not_finite(self, value: float) -> None:
        values = torch.rand(3, 2, 2, 2)
        values[1, 0, 1, 0] = value
        with pytest.raises(ValueError, match=r"item 1: expected finite values, got 1 of 8 that are not"):
            marching_cubes(VoxelGrid.in_box(values, kind="logit"))

    def test_values_that_are_no_probabilities(self) -> None:
        values = torch.rand(2, 2, 2, 2)
        values[1, 0, 0, 0] = -3.0
        with pytest.raises(
            ValueError, match=r'item 1: expected probabilities in \[0, 1\], got values from -3 .*kind="logit"'
        ):
            marching_cubes(VoxelGrid.in_box(values))

    def test_not_probabilities_that_are_off_by_rounding(self) -> None:
        values = torch.full((1, 3, 3, 3), 1 + 2e-7, requires_grad=True)
        meshes = marching_cubes(VoxelGrid.in_box(values))
        assert meshes.vertices.isfinite().all()
        assert torch.autograd.grad(meshes.vertices.square().sum(), values)[0].isfinite().all()

    @pytest.mark.parametrize(("level", "kind"), [(0.0, "probability"), (1.0, "probability"), (math.nan, "logit")])
    def test_levels(self, level: float, kind: str) -> None:
        with pytest.raises(ValueError, match="level"):
            marching_cubes(VoxelGrid.in_box(torch.rand(2, 2, 2), kind=kind), level=level)

    def test_spacings(self) -> None:
        spacing = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
        with pytest.raises(ValueError, match=r"item 1: expected positive spacings, got \(1\.0, 0\.0, 1\.0\)"):
            marching_cubes(VoxelGrid(torch.rand(2, 3, 3, 3), torch.zeros(2, 3), spacing))


@pytest.mark.cuda
def test_cuda_equals_cpu() -> None:
    grid = VoxelGrid.in_box(torch.rand(2, 20, 21, 22, dtype=torch.float64))
    results = []
    for device in ("cpu", "cuda"):
        values = grid.values.to(device).requires_grad_()
        meshes = marching_cubes(grid.to(device).with_values(values))
        (gradient,) = torch.autograd.grad(meshes.vertices.square().sum(), values)
        results.append((meshes.faces.cpu(), meshes.vertices.detach().cpu(), gradient.cpu()))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1:], results[1][1:], atol=1e-10, rtol=1e-10)


def assert_box(meshes: Meshes, low: list[float], high: list[float]) -> None:
    vertices = meshes.vertices.double()
    torch.testing.assert_close(vertices.amin(0), torch.tensor(low).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(vertices.amax(0), torch.tensor(high).double(), atol=1e-5, rtol=0)
