"""Edges and face pairs against brute force, and the laws that all losses of meshes share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from dr_kfs.geometry import Meshes
from dr_kfs.losses import (
    cotangent_laplacian_loss,
    edge_length_loss,
    flatten_loss,
    normal_consistency_loss,
    uniform_laplacian_loss,
)
from dr_kfs.losses._mesh_topology import edges_of, face_pairs_of
from dr_kfs.losses._reductions import reduce_items

ItemLists = tuple[list[Tensor], list[Tensor]]

LOSSES: dict[str, Callable[..., Tensor]] = {
    "edge length": edge_length_loss,
    "edge length with a target": partial(edge_length_loss, target=0.5),
    "laplacian": uniform_laplacian_loss,
    "laplacian, not squared": partial(uniform_laplacian_loss, squared=False),
    "cotangent laplacian": cotangent_laplacian_loss,
    "cotangent laplacian, not squared": partial(cotangent_laplacian_loss, squared=False, weight_gradient=True),
    "normal consistency": normal_consistency_loss,
    "flatten": flatten_loss,
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@st.composite
def item_lists(draw: st.DrawFn) -> ItemLists:
    """Any faces over coinciding, collinear, tiny and large vertices; some items without faces."""
    vertices, faces = [], []
    for _ in range(draw(st.integers(1, 3))):
        generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
        count = draw(st.integers(1, 6))
        size = draw(st.sampled_from([1e-30, 1.0, 1e12]))
        vertices.append(torch.randint(-2, 3, (count, 3), generator=generator) * size)
        faces.append(torch.randint(count, (draw(st.integers(0, 8)), 3), generator=generator))
    return vertices, faces


def packed(lists: ItemLists) -> Meshes:
    # Not in the strategy: the type checker draws random numbers, which a strategy may not.
    return Meshes.from_list(*lists, allow_empty=True)


def strip(columns: int = 6) -> Meshes:
    """A bumpy strip of triangles."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.cartesian_prod(torch.arange(columns), torch.arange(2), torch.arange(1)).double()
    vertices = grid + 0.3 * torch.rand(grid.shape, generator=generator, dtype=torch.float64)
    faces = torch.tensor([[i, i + 1, i + 2] for i in range(2 * columns - 2)])
    return Meshes.from_list([vertices], [faces])


class TestTopology:
    @given(item_lists())
    def test_edges_by_brute_force(self, lists: ItemLists) -> None:
        meshes = packed(lists)
        expected = {(min(a, b), max(a, b)) for f in meshes.faces.tolist() for a, b in combinations(f, 2) if a != b}
        edges = edges_of(meshes)
        assert [tuple(edge) for edge in edges.vertices.tolist()] == sorted(expected)
        items = meshes.vertex_item()[edges.vertices[:, 0]].tolist()
        assert list(edges.counts) == [items.count(item) for item in range(len(meshes))]

    @given(item_lists())
    def test_face_pairs_by_brute_force(self, lists: ItemLists) -> None:
        meshes = packed(lists)
        half_edges = []
        for a, b, c in meshes.faces.tolist():
            half_edges += [(min(ends), max(ends), top) for *ends, top in ((b, c, a), (c, a, b), (a, b, c))]
        expected = sorted(
            (one[0], one[1], *sorted((one[2], other[2])))
            for one, other in combinations(half_edges, 2)
            if one[:2] == other[:2] and one[0] != one[1] and one[2] != other[2]
        )
        pairs = face_pairs_of(meshes)
        found = torch.cat([pairs.edge, pairs.opposite.sort(dim=1).values], dim=1)
        assert sorted(map(tuple, found.tolist())) == expected
        assert sum(pairs.counts) == len(expected)
        assert pairs.counts == tuple(len(face_pairs_of(mesh).edge) for mesh in meshes)

    def test_computed_once(self) -> None:
        meshes = strip()
        assert edges_of(meshes) is edges_of(meshes.with_vertices(meshes.vertices + 1))


class TestEveryLoss:
    @every_loss
    @given(item_lists())
    def test_finite_whatever_comes(self, loss: Callable[..., Tensor], lists: ItemLists) -> None:
        meshes = packed(lists)
        leaf = meshes.vertices.clone().requires_grad_()
        values = loss(meshes.with_vertices(leaf), reduction="none")
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
        assert values.shape == (len(meshes),)
        assert values.isfinite().all()
        assert (values >= 0).all()
        assert gradient.isfinite().all()

    @every_loss
    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_names_the_vertex_that_is_not_finite(self, loss: Callable[..., Tensor], bad: float) -> None:
        meshes = Meshes.cat([strip(), strip()])
        vertices = meshes.vertices.clone()
        vertices[len(strip().vertices) + 3, 1] = bad
        with pytest.raises(ValueError, match=r"item 1: expected finite vertices, got .* at vertex 3"):
            loss(meshes.with_vertices(vertices))

    @every_loss
    @given(item_lists())
    def test_batch_is_loop(self, loss: Callable[..., Tensor], lists: ItemLists) -> None:
        meshes = packed(lists)
        values = loss(meshes, reduction="none")
        assert torch.equal(values, torch.cat([loss(mesh, reduction="none") for mesh in meshes]))
        assert loss(meshes, reduction="sum").item() == pytest.approx(values.sum().item())
        assert loss(meshes).item() == pytest.approx(values.mean().item())

    @every_loss
    def test_order_winding_and_duplicates_do_not_matter(self, loss: Callable[..., Tensor]) -> None:
        meshes = strip()
        vertices, faces = meshes.vertices, meshes.faces
        generator = torch.Generator().manual_seed(1)
        order = torch.randperm(len(vertices), generator=generator)
        mixed = Meshes.from_list(
            [vertices[order]], [order.argsort()[faces.flip(1)][torch.randperm(len(faces), generator=generator)]]
        )
        assert loss(mixed).item() == pytest.approx(loss(meshes).item(), rel=1e-12)
        if loss not in (normal_consistency_loss, flatten_loss):  # a duplicate is one more neighbour there
            doubled = Meshes.from_list([vertices], [torch.cat([faces, faces.roll(1, 1)])])
            assert loss(doubled).item() == pytest.approx(loss(meshes).item(), rel=1e-12)

    @every_loss
    def test_half_precision_is_computed_in_float32(self, loss: Callable[..., Tensor]) -> None:
        half = strip().to(dtype=torch.bfloat16)
        assert torch.equal(loss(half), loss(half.to(dtype=torch.float32)))

    @every_loss
    def test_no_edges(self, loss: Callable[..., Tensor]) -> None:
        dot = torch.zeros(2, 3, requires_grad=True)
        value = loss(Meshes.from_list([dot], [torch.tensor([[1, 1, 1]])]))
        (gradient,) = torch.autograd.grad(value, dot)
        assert value.item() == 0.0
        assert torch.equal(gradient, torch.zeros(2, 3))

    @every_loss
    def test_empty_batch(self, loss: Callable[..., Tensor]) -> None:
        none = strip()[1:]
        assert loss(none, reduction="none").shape == (0,)
        assert loss(none, reduction="sum").item() == 0.0
        with pytest.raises(ValueError, match="empty batch"):
            loss(none)

    @every_loss
    def test_descends(self, loss: Callable[..., Tensor]) -> None:
        meshes = strip()
        leaf = meshes.vertices.clone().requires_grad_()
        before = loss(meshes.with_vertices(leaf))
        (gradient,) = torch.autograd.grad(before, leaf)
        step = 1e-4 / gradient.norm()
        assert loss(meshes.with_vertices(leaf.detach() - step * gradient)).item() < before.item()

    def test_unknown_reduction(self) -> None:
        # Without the type checker of the tests it is our own ValueError.
        with pytest.raises((ValueError, TypeCheckError), match="median"):
            reduce_items(torch.ones(2), "median")  # type: ignore[arg-type]
