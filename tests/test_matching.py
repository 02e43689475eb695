"""Localized matching against a brute-force search."""

import pytest
import torch

from dr_kfs._nearest_patch_warp import nearest_patch_kernels
from dr_kfs.matching import LocalizedMatcher, match_localized, weighted_similarity


def brute_force(query, reference, reach):
    """Eq. 2's inner minimum, patch by patch."""
    items, views, patches, _ = query.shape
    grid = round(patches**0.5)
    distance = torch.full((items, views, patches), torch.inf, dtype=query.dtype)
    index = torch.zeros(items, views, patches, dtype=torch.long)
    for i in range(patches):
        for k in range(patches):
            row, column = i // grid, i % grid
            if abs(k // grid - row) <= reach and abs(k % grid - column) <= reach:
                d = (query[:, :, i] - reference[:, :, k]).square().mean(-1)
                index[:, :, i] = torch.where(d < distance[:, :, i], k, index[:, :, i])
                distance[:, :, i] = torch.minimum(d, distance[:, :, i])
    return distance, index


class TestMatchLocalized:
    @pytest.mark.parametrize(("radius", "reach"), [(0, 0), (16, 1), (32, 2)])
    def test_equals_brute_force(self, radius, reach):
        query, reference = torch.randn(2, 3, 25, 8), torch.randn(2, 3, 25, 8)
        matches = match_localized(query, reference, radius=radius)
        distance, index = brute_force(query, reference, reach)
        torch.testing.assert_close(matches.distance, distance)
        assert torch.equal(matches.index, index)

    def test_identity_is_exactly_zero(self):
        query = torch.randn(1, 2, 225, 16)
        matches = match_localized(query, query.clone())
        assert (matches.distance == 0).all()
        assert torch.equal(matches.index, torch.arange(225).expand(1, 2, 225))

    def test_a_shift_by_one_patch_is_forgiven_inside(self):
        grid = torch.randn(1, 1, 5, 5, 8)
        matches = match_localized(grid.flatten(2, 3), grid.roll(1, dims=3).flatten(2, 3))
        assert (matches.distance.view(5, 5)[:, :4] == 0).all()

    def test_softmin_tends_to_the_minimum(self):
        query, reference = torch.randn(1, 1, 9, 8), torch.randn(1, 1, 9, 8)
        hard = match_localized(query, reference).distance
        soft = match_localized(query, reference, temperature=1e-3).distance
        torch.testing.assert_close(soft, hard, atol=1e-3, rtol=0)
        assert (match_localized(query, reference, temperature=1.0).distance >= hard).all()

    @pytest.mark.parametrize("temperature", [None, 0.5])
    def test_gradcheck(self, temperature):
        query = torch.randn(1, 1, 9, 4, dtype=torch.float64, requires_grad=True)
        reference = torch.randn(1, 1, 9, 4, dtype=torch.float64, requires_grad=True)
        matcher = LocalizedMatcher(temperature=temperature)
        assert torch.autograd.gradcheck(lambda a, b: matcher(a, b).distance, (query, reference))

    def test_one_patch_may_be_the_nearest_of_many(self):
        query = torch.zeros(1, 1, 9, 4, dtype=torch.float64, requires_grad=True)
        reference = torch.ones(1, 1, 9, 4, dtype=torch.float64)
        reference[0, 0, 4] = 0.5
        reference.requires_grad_()
        matches = match_localized(query, reference)
        assert (matches.index == 4).all()
        _, gradient = torch.autograd.grad(matches.distance.sum(), (query, reference))
        assert gradient[0, 0, 4].tolist() == [9 * 2 * 0.5 / 4] * 4
        assert gradient.count_nonzero() == 4

    def test_the_first_of_equals_wins(self):
        matches = match_localized(torch.zeros(1, 1, 9, 4), torch.ones(1, 1, 9, 4))
        assert matches.index.flatten().tolist() == [0, 0, 1, 0, 0, 1, 3, 3, 4]

    def test_half_precision_is_computed_in_float32(self):
        query, reference = torch.randn(2, 1, 1, 9, 4).bfloat16()
        ours, theirs = match_localized(query, reference), match_localized(query.float(), reference.float())
        assert torch.equal(ours.distance, theirs.distance)

    @pytest.mark.parametrize("patch", [0, 4])
    def test_what_is_no_number_is_never_passed_over(self, patch):
        reference = torch.randn(1, 1, 9, 4)
        reference[0, 0, patch] = torch.nan
        distance = match_localized(torch.randn(1, 1, 9, 4), reference).distance.view(3, 3)
        near = torch.ones(3, 3, dtype=torch.bool) if patch == 4 else torch.zeros(3, 3, dtype=torch.bool)
        near[:2, :2] = True
        assert torch.equal(distance.isnan(), near)

    def test_two_devices_are_an_error(self):
        with pytest.raises(ValueError, match="on one device, got cpu and meta"):
            match_localized(torch.randn(1, 1, 9, 4), torch.randn(1, 1, 9, 4, device="meta"))

    def test_double_backward_is_an_error(self):
        query = torch.randn(1, 1, 9, 4, requires_grad=True)
        distance = match_localized(query, torch.randn(1, 1, 9, 4)).distance.sum()
        (gradient,) = torch.autograd.grad(distance, query, create_graph=True)
        with pytest.raises(RuntimeError, match="match_localized is differentiable once"):
            gradient.sum().backward()

    def test_wrong_shapes(self):
        with pytest.raises(ValueError, match="square grid"):
            match_localized(torch.zeros(1, 1, 8, 4), torch.zeros(1, 1, 8, 4))


class TestWeightedSimilarity:
    def test_is_a_weighted_mean_and_zero_without_weight(self):
        distance = torch.tensor([[[1.0, 3.0], [5.0, 7.0]]])
        weights = torch.tensor([[[1.0, 3.0], [0.0, 0.0]]])
        assert weighted_similarity(distance, weights).tolist() == [[2.5, 0.0]]


class TestSearch:
    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ({"radius": 8}, "multiple of the patches' stride, 16 px, got 8"),
            ({"radius": -16}, "got -16"),
            ({"temperature": 0.0}, "temperature must be positive"),
            ({"temperature": float("nan")}, "got nan"),
        ],
    )
    def test_what_cannot_be_searched_is_an_error(self, bad, message):
        with pytest.raises(ValueError, match=message):
            LocalizedMatcher(**bad)

    def test_a_radius_beyond_the_image_is_the_whole_image(self):
        query, reference = torch.randn(1, 1, 9, 4), torch.randn(1, 1, 9, 4)
        everywhere = match_localized(query, reference, radius=1600)
        assert torch.equal(everywhere.distance, match_localized(query, reference, radius=32).distance)


def test_a_first_call_under_fake_tensors_does_not_spoil_later_ones():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        match_localized(torch.rand(1, 1, 36, 8), torch.rand(1, 1, 36, 8))
    a, b = torch.rand(1, 1, 36, 8), torch.rand(1, 1, 36, 8)
    assert match_localized(a, b).distance.isfinite().all()


class TestRegistration:
    def test_op(self, opcheck):
        query, reference = (torch.randn(2, 9, 40, requires_grad=True) for _ in range(2))
        candidates = torch.arange(9)[:, None] - torch.tensor([0, 1])
        opcheck(torch.ops.dr_kfs.nearest_patch.default, (query, reference, candidates.clamp_min(-1)))

    @pytest.mark.parametrize("arch", [80, 90])
    @pytest.mark.parametrize("name", ["forward", "backward"])
    def test_kernels_compile_to_ptx(self, assert_compiles_to_ptx, arch, name):
        assert_compiles_to_ptx(nearest_patch_kernels, name, arch)

    @pytest.mark.cuda
    @pytest.mark.parametrize("dimensions", [128, 45])
    def test_cuda_equals_cpu(self, dimensions):
        pair, found = torch.randn(2, 2, 3, 25, dimensions), []
        for device in ("cpu", "cuda"):
            query, reference = (x.to(device).requires_grad_() for x in pair)
            matches = match_localized(query, reference)
            gradients = torch.autograd.grad(matches.distance.square().sum(), (query, reference))
            found.append([x.cpu() for x in (matches.index, matches.distance, *gradients)])
        for cpu, cuda in zip(*found, strict=True):
            torch.testing.assert_close(cpu, cuda)
