"""Surfaces of implicit fields: as marching cubes over samples, with the gradient of the implicit function theorem."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dr_kfs.geometry import Meshes, VoxelGrid, extract_surface, marching_cubes

KINDS = ["probability", "logit", "distance"]


def sphere(radius: Tensor | float, kind: str) -> Callable[[Tensor], Tensor]:
    """A sphere at the origin; the slope of probabilities and logits is not 1."""
    if kind == "distance":
        return lambda points: points.norm(dim=1) - radius
    if kind == "logit":
        return lambda points: 7 * (radius - points.norm(dim=1))
    return lambda points: torch.sigmoid(7 * (radius - points.norm(dim=1)))


def two_parts(points: Tensor) -> Tensor:
    """Distances to a bent rod and to a small ball beside it, roughly."""
    x, y, z = points.unbind(1)
    rod = ((y - 0.6 * x**2).square() + (z - 0.2 * torch.sin(6 * x)).square()).sqrt() - 0.09
    ball = (points - torch.tensor([0.19, -0.31, 0.25], dtype=points.dtype)).norm(dim=1) - 0.03
    return torch.minimum(torch.maximum(rod, x.abs() - 0.4), ball)


def volume(meshes: Meshes) -> Tensor:
    a, b, c = meshes.face_vertices().unbind(1)
    return (torch.linalg.cross(a, b) * c).sum() / 6


def same(one: Meshes, other: Meshes) -> bool:
    return torch.equal(one.vertices, other.vertices) and torch.equal(one.faces, other.faces)


class Field(nn.Module):
    """A small network around a sphere of learnable radius."""

    def __init__(self) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(0.3))
        self.layers = nn.Sequential(nn.Linear(3, 16), nn.Softplus(), nn.Linear(16, 1))

    def forward(self, points: Tensor) -> Tensor:
        return self.radius - points.norm(dim=1, keepdim=True) + 0.05 * self.layers(points)


class TestSurface:
    @pytest.mark.parametrize("kind", KINDS)
    def test_is_marching_cubes_over_samples(self, kind: str) -> None:
        field, bounds = sphere(0.33, kind), ((-0.5, -0.4, -0.6), (0.5, 0.6, 0.4))
        places = VoxelGrid.in_box(torch.zeros(13, 13, 13, dtype=torch.float64), bounds, sample="corner")
        values = field(places.points().view(-1, 3)).view(1, 13, 13, 13)
        expected = marching_cubes(VoxelGrid.in_box(values, bounds, kind=kind, sample="corner"))
        found = extract_surface(field, 12, bounds, kind=kind, dtype=torch.float64)
        assert torch.equal(found.faces, expected.faces)
        torch.testing.assert_close(found.vertices, expected.vertices, atol=1e-12, rtol=0)

    @pytest.mark.parametrize("chunk", [1, 7, 10**6])
    def test_chunks_change_nothing(self, chunk: int) -> None:
        counts = []

        def counted(points: Tensor) -> Tensor:
            counts.append(len(points))
            return sphere(0.4, "distance")(points)[:, None]

        assert same(
            extract_surface(counted, 4, kind="distance", chunk=chunk),
            extract_surface(sphere(0.4, "distance"), 4, kind="distance"),
        )
        assert max(counts) <= chunk

    def test_level(self) -> None:
        meshes = extract_surface(sphere(0.2, "distance"), 16, kind="distance", level=0.1)
        torch.testing.assert_close(
            meshes.vertices.norm(dim=1), torch.full((len(meshes.vertices),), 0.3), atol=3e-3, rtol=0
        )

    def test_closed_on_the_sides_of_the_box(self) -> None:
        """A sphere that is larger than the box is cut off by its sides."""
        meshes = extract_surface(sphere(0.6, "distance"), 20, kind="distance", dtype=torch.float64)
        assert meshes.vertices.abs().max().item() == 0.5
        ball, cap = 4 / 3 * math.pi * 0.6**3, math.pi * 0.1**2 * (3 * 0.6 - 0.1) / 3
        assert volume(meshes).item() == pytest.approx(ball - 6 * cap, rel=5e-3)

    def test_empty_and_full(self) -> None:
        assert extract_surface(sphere(-1.0, "logit"), 4, kind="logit").face_counts == (0,)
        assert volume(extract_surface(sphere(9.0, "logit"), 4, kind="logit")).item() == pytest.approx(1.0)


class TestCoarseToFine:
    def test_equals_dense_sampling(self) -> None:
        evaluated = []

        def field(points: Tensor) -> Tensor:
            evaluated.append(len(points))
            return two_parts(points)

        dense = extract_surface(two_parts, 64, kind="distance")
        sparse = extract_surface(field, 64, kind="distance", coarse_resolution=16)
        assert same(sparse, dense)
        assert sum(evaluated) < 0.15 * 65**3

    def test_a_shape_on_the_sides_of_the_box(self) -> None:
        field = sphere(0.7, "probability")
        assert same(extract_surface(field, 32, coarse_resolution=8), extract_surface(field, 32))

    def test_what_it_misses(self) -> None:
        """The ball lies between the samples of 8^3 cells, as the docstring says; the rod is found whole."""
        sparse = extract_surface(two_parts, 64, kind="distance", coarse_resolution=8)
        dense = extract_surface(two_parts, 64, kind="distance")
        ball = dense.vertices[:, 1] < -0.2
        assert ball.any()
        assert torch.equal(sparse.vertices, dense.vertices[~ball])

    def test_follows_a_surface_that_leaves_the_coarse_cells(self) -> None:
        """A bar of which only one end touches a coarse sample."""

        def bar(points: Tensor) -> Tensor:
            x, y, z = points.unbind(1)
            return torch.maximum(torch.maximum((y - 0.03).abs(), (z - 0.03).abs()) - 0.04, (x - 0.2).abs() - 0.23)

        assert same(
            extract_surface(bar, 64, kind="distance", coarse_resolution=4), extract_surface(bar, 64, kind="distance")
        )


class TestGradient:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("chunk", [100, 10**6])
    def test_every_vertex_of_a_sphere_moves_outwards_with_its_radius(self, kind: str, chunk: int) -> None:
        """The theorem, vertex by vertex: dv/dr = v / |v|, whatever the kind and the slope."""
        radius = torch.tensor(0.35, dtype=torch.float64, requires_grad=True)
        meshes = extract_surface(sphere(radius, kind), 8, kind=kind, chunk=chunk, dtype=torch.float64)
        outwards = meshes.vertices.detach() / meshes.vertices.detach().norm(dim=1, keepdim=True)
        weights = torch.rand_like(outwards)
        (gradient,) = torch.autograd.grad((weights * meshes.vertices).sum(), radius)
        assert gradient.item() == pytest.approx((weights * outwards).sum().item(), rel=1e-9)

    @pytest.mark.parametrize("kind", KINDS)
    def test_against_finite_differences(self, kind: str) -> None:
        """Of the volume: it does not depend on where on the surface the vertices are, as theirs along edges do."""
        radius = torch.tensor(0.37, dtype=torch.float64, requires_grad=True)

        def found(value: Tensor) -> Tensor:
            return volume(extract_surface(sphere(value, kind), 48, kind=kind, dtype=torch.float64))

        (gradient,) = torch.autograd.grad(found(radius), radius)
        with torch.no_grad():
            difference = (found(radius + 1e-5) - found(radius - 1e-5)) / 2e-5
        # The vertices are off the sphere by the square of the cells' size, and so are both derivatives.
        assert gradient.item() == pytest.approx(difference.item(), rel=3e-3)
        assert gradient.item() == pytest.approx(4 * math.pi * 0.37**2, rel=1e-2)

    def test_reaches_every_parameter_and_latent_code(self) -> None:
        field, code = Field(), torch.zeros(1, requires_grad=True)
        meshes = extract_surface(lambda points: field(points) + code, 12, (-1.0, 1.0), kind="logit", chunk=300)
        meshes.vertices.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in [*field.parameters(), code])
        assert code.grad.item() > 0

    def test_a_field_is_fitted_through_its_surface(self) -> None:
        radius = torch.tensor(0.2, requires_grad=True)
        optimizer = torch.optim.Adam([radius], lr=0.02)
        for _ in range(60):
            optimizer.zero_grad()
            loss = (volume(extract_surface(sphere(radius, "probability"), 16)) - 4 / 3 * math.pi * 0.4**3).square()
            loss.backward()
            optimizer.step()
        assert radius.item() == pytest.approx(0.4, abs=0.01)

    def test_an_empty_surface_keeps_its_graph(self) -> None:
        field = Field()
        extract_surface(field, 4, (2.0, 3.0), kind="logit").vertices.sum().backward()
        assert field.radius.grad.item() == 0.0

    def test_vertices_on_the_box_stay(self) -> None:
        radius = torch.tensor(5.0, requires_grad=True)
        meshes = extract_surface(sphere(radius, "distance"), 3, kind="distance")
        meshes.vertices.sum().backward()
        assert radius.grad.item() == 0.0

    def test_a_flat_field_has_a_finite_gradient(self) -> None:
        """A step, whose derivative by position is 0 wherever it is asked."""
        offset = torch.tensor(0.0, requires_grad=True)
        meshes = extract_surface(lambda p: (p[:, 0] > 0.013).float() + 0 * p[:, 1] + offset - 0.5, 6, kind="logit")
        meshes.vertices.sum().backward()
        assert offset.grad.item() == 0.0

    def test_no_graph_where_there_is_nothing_to_learn(self) -> None:
        assert not extract_surface(sphere(0.3, "logit"), 8, kind="logit").vertices.requires_grad
        with torch.no_grad():
            assert not extract_surface(Field(), 8, (-1.0, 1.0), kind="logit").vertices.requires_grad

        def detached(points: Tensor) -> Tensor:
            return sphere(0.3, "logit")(points.detach())

        assert same(extract_surface(detached, 8, kind="logit"), extract_surface(sphere(0.3, "logit"), 8, kind="logit"))

    def test_a_field_without_derivative_by_position_is_refused(self) -> None:
        radius = torch.tensor(0.3, requires_grad=True)
        with pytest.raises(ValueError, match="depends on parameters only"):
            extract_surface(lambda points: radius - points.detach().norm(dim=1), 8, kind="logit")


class TestRejects:
    @pytest.mark.parametrize(
        ("field", "message"),
        [
            (lambda points: points, r"values \(125,\) or \(125, 1\), got \(125, 3\)"),
            (lambda points: points.sum(), r"got \(\)"),
            (lambda points: points[:, 0] / 0, r"the field: expected finite values, got 125 of 125"),
        ],
    )
    def test_fields(self, field: Callable[[Tensor], Tensor], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            extract_surface(field, 4, kind="logit")

    def test_logits_that_pass_for_probabilities(self) -> None:
        with pytest.raises(ValueError, match=r"the field: expected probabilities in \[0, 1\], got values from"):
            extract_surface(sphere(0.3, "logit"), 4)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"resolution": 0}, "at least 1 cell, got 0"),
            ({"coarse_resolution": 5}, "a power of two, got 12 and 5"),
            ({"coarse_resolution": 24}, "a power of two, got 12 and 24"),
            ({"coarse_resolution": 0}, "a power of two, got 12 and 0"),
            ({"chunk": 0}, "chunk of at least 1"),
            ({"dtype": torch.float16}, "float32 or float64"),
            ({"bounds": (1.0, -1.0)}, "low below high"),
            ({"level": 1.5}, r"level in \(0, 1\)"),
        ],
    )
    def test_options(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            extract_surface(sphere(0.3, "probability"), **{"resolution": 12, **options})


@pytest.mark.cuda
def test_cuda_equals_cpu() -> None:
    field = Field()
    results = []
    for device in ("cpu", "cuda"):
        field.to(device).zero_grad()
        meshes = extract_surface(field, 32, (-1.0, 1.0), kind="logit", coarse_resolution=8)
        assert meshes.device.type == device
        meshes.vertices.square().sum().backward()
        # A copy: `to` moves the gradient that is there.
        results.append([meshes.vertices.detach().cpu(), field.radius.grad.cpu().clone()])
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=1e-4)
