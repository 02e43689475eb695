from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import KDTree

from dr_kfs.geometry import PointSets, nearest_neighbors, neighbors


def sphere(count: int) -> torch.Tensor:
    points = torch.randn(count, 3)
    return points / points.norm(dim=1, keepdim=True)


def least_distances(query: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """By scipy, in float64."""
    return torch.from_numpy(KDTree(reference.double().numpy()).query(query.double().numpy())[0])


def found_distances(query: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    index = nearest_neighbors(PointSets.from_list([query]), PointSets.from_list([reference]))
    return (query.double() - reference[index].double()).norm(dim=1)


CLOUDS = {
    "two samples of a sphere": lambda n: (sphere(n), sphere(n)),
    "a shifted sphere": lambda n: (sphere(n) + 0.3, sphere(n)),
    "a volume": lambda n: (torch.rand(n, 3), torch.rand(n, 3)),
    "near the centre": lambda n: (0.01 * torch.randn(n, 3), sphere(n)),
    "a line": lambda n: (torch.rand(n, 1) * torch.ones(3), torch.rand(n, 1) * torch.ones(3)),
    "copies of few": lambda n: (torch.rand(9, 3).repeat(n // 9 + 1, 1), torch.rand(5, 3).repeat(n // 5 + 1, 1)),
    "one place": lambda n: (torch.ones(n, 3), torch.ones(n, 3)),
    "far apart": lambda n: (torch.rand(n, 3), torch.rand(n, 3) + 1e4),
    "an outlier": lambda n: (torch.cat([sphere(n), torch.full((1, 3), 1e6)]), sphere(n)),
}


def check_exact(query: torch.Tensor, reference: torch.Tensor, index: torch.Tensor) -> None:
    # Relative to the size of the coordinates: float32 differences decide between nearly equal distances.
    size = torch.cat([query, reference]).abs().amax().item()
    found = (query.double() - reference[index].double()).norm(dim=1)
    torch.testing.assert_close(found, least_distances(query, reference), rtol=1e-6, atol=1e-7 * size)


def test_op_registration(opcheck) -> None:
    opcheck(torch.ops.dr_kfs.nearest_row.default, (sphere(30), sphere(20)))


class TestSearch:
    """What CUDA runs, and the CPU for queries that are far off."""

    @pytest.mark.parametrize("name", CLOUDS)
    def test_blocks_are_exact(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """With few boxes at a time, so that every loop runs."""
        monkeypatch.setattr(neighbors, "BOX_PAIRS", 1000)
        monkeypatch.setattr(neighbors, "BLOCKS_AT_A_TIME", 100)
        query, reference = CLOUDS[name](3000)
        check_exact(query, reference, neighbors._block_search(query, reference))

    def test_blocks_are_as_exact_as_all_pairs(self) -> None:
        """The same arithmetic in either: the same points."""
        query, reference = sphere(3000), sphere(2500)
        blocks, pairs = neighbors._block_search(query, reference), neighbors._all_pairs(query, reference)
        assert torch.equal(blocks, pairs)

    @pytest.mark.parametrize(("queries", "references"), [(1, 9000), (9000, 1), (3000, 2049), (2049, 3000)])
    def test_unequal_sizes(self, queries: int, references: int) -> None:
        query, reference = sphere(queries), sphere(references)
        for search in (neighbors._block_search, neighbors._all_pairs):
            check_exact(query, reference, search(query, reference))


class TestNearestNeighbors:
    @pytest.mark.parametrize("name", CLOUDS)
    @pytest.mark.parametrize("count", [1, 300, 4000])
    def test_is_exact(self, name: str, count: int) -> None:
        query, reference = CLOUDS[name](count)
        index = nearest_neighbors(PointSets.from_list([query]), PointSets.from_list([reference]))
        check_exact(query, reference, index)

    def test_the_tree_leaves_what_is_far(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Queries near the surface never reach the search by blocks, those near the centre all do."""
        asked = []
        search = neighbors._search
        monkeypatch.setattr(neighbors, "_search", lambda a, b: (asked.append(len(a)), search(a, b))[1])
        reference = PointSets.from_list([sphere(2000)])
        nearest_neighbors(PointSets.from_list([torch.cat([sphere(500), 0.01 * sphere(70)])]), reference)
        assert asked == [70]

    def test_ragged_batch_is_loop(self) -> None:
        queries, references = [sphere(5), sphere(2500)], [sphere(7), sphere(2500)]
        packed = nearest_neighbors(PointSets.from_list(queries), PointSets.from_list(references))
        alone = [
            nearest_neighbors(PointSets.from_list([q]), PointSets.from_list([r]))
            for q, r in zip(queries, references, strict=True)
        ]
        assert torch.equal(packed, torch.cat([alone[0], 7 + alone[1]]))

    def test_far_from_the_origin(self) -> None:
        """Where |q|^2 - 2 q.r + |r|^2 has no digit left."""
        points = 1000 + torch.rand(500, 3)
        assert found_distances(points, points).max().item() == 0.0

    @given(st.sampled_from([1e-38, 1e-30, 1e-10, 1.0, 1e15, 3e37]), st.integers(1, 40), st.integers(1, 40))
    def test_any_size(self, size: float, queries: int, references: int) -> None:
        generator = torch.Generator().manual_seed(queries)
        query = torch.randint(-3, 4, (queries, 3), generator=generator) * size
        reference = torch.randint(-3, 4, (references, 3), generator=generator) * size
        torch.testing.assert_close(
            found_distances(query, reference) / size, least_distances(query, reference) / size, rtol=1e-6, atol=1e-6
        )

    def test_float64_keeps_its_digits(self) -> None:
        query = torch.zeros(1, 3, dtype=torch.float64)
        reference = torch.tensor([[1 + 1e-12, 0, 0], [1.0, 0, 0]], dtype=torch.float64)
        assert nearest_neighbors(PointSets.from_list([query]), PointSets.from_list([reference])).item() == 1

    def test_has_no_gradient(self) -> None:
        leaf = torch.rand(4, 3, requires_grad=True)
        sets = PointSets.from_list([leaf])
        index = nearest_neighbors(sets, sets)
        assert index.dtype == torch.int64
        assert not index.requires_grad

    def test_refuses(self) -> None:
        one, two = PointSets.from_list([sphere(3)]), PointSets.from_list([sphere(3)] * 2)
        with pytest.raises(ValueError, match="got 2 query and 1"):
            nearest_neighbors(two, one)

    @pytest.mark.cuda
    @pytest.mark.parametrize("name", CLOUDS)
    def test_on_the_gpu(self, name: str) -> None:
        query, reference = CLOUDS[name](10_000)
        sets = [PointSets.from_list([each.cuda()]) for each in (query, reference)]
        check_exact(query, reference, nearest_neighbors(*sets).cpu())
