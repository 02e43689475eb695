"""Fragment lists: kernels against the reference, exact gradients, what a list holds."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_softras import soup, square, subdivided

from dr_kfs.rendering._fragments_warp import fragment_kernels
from dr_kfs.rendering.fragments import soft_fragments

SIZE = 24
KWARGS = {"image_size": SIZE, "reach": 0.1, "clip": 0.2}
FIELDS = ("depth", "shade", "signed", "share")


def random_loss(fragments, seed=1):
    """A fixed random linear functional of all values of all fragments."""
    generator = torch.Generator().manual_seed(seed)
    values = [getattr(fragments, field) for field in FIELDS]
    return sum((x * torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)).sum() for x in values)


class TestKernelAgainstReference:
    @pytest.mark.parametrize(
        ("dtype", "tolerance"),
        # float32: distances of order 1e-3 from corners of order 1, times the inverse of small areas.
        [(torch.float64, 1e-12), (torch.float32, 5e-5)],
    )
    @pytest.mark.parametrize("size", [SIZE, 37])  # whole patches of pixels, and not
    @pytest.mark.parametrize("counts", [[40], [15, 0, 25]])
    def test_values_and_gradients(self, dtype, tolerance, size, counts):
        ndc, shade = (tensor.to(dtype).requires_grad_() for tensor in soup())
        expected, got = (
            soft_fragments(ndc, shade, counts, backend=backend, **{**KWARGS, "image_size": size})
            for backend in ("reference", "warp")
        )
        assert torch.equal(got.starts, expected.starts)
        assert torch.equal(got.face, expected.face)
        gradients = [torch.autograd.grad(random_loss(fragments), [ndc, shade]) for fragments in (expected, got)]
        pairs = [(getattr(expected, field), getattr(got, field)) for field in FIELDS]
        for one, other in [*pairs, *zip(*gradients, strict=True)]:
            scale = one.abs().max()
            torch.testing.assert_close(other / scale, one / scale, atol=tolerance, rtol=0)

    def test_half_precision_is_computed_in_float32(self):
        ndc, shade = soup(10)
        half = soft_fragments(ndc.half(), shade.half(), [10], **KWARGS)
        full = soft_fragments(ndc.half().float(), shade.half().float(), [10], **KWARGS)
        assert half.depth.dtype == torch.float32
        assert torch.equal(half.depth, full.depth)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_same_bits_with_one_and_two_threads(self, dtype):
        ndc, shade = (tensor.to(dtype).requires_grad_() for tensor in soup(60))
        before = torch.get_num_threads()
        results = []
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                fragments = soft_fragments(ndc, shade, [10, 20, 30], **KWARGS)
                results.append([fragments.signed, *torch.autograd.grad(random_loss(fragments), [ndc, shade])])
        finally:
            torch.set_num_threads(before)
        for one, two in zip(*results, strict=True):
            assert torch.equal(one, two)


class TestGradient:
    def test_gradcheck(self):
        ndc, shade = (tensor.requires_grad_() for tensor in soup(7, seed=3))

        def values(ndc, shade):
            fragments = soft_fragments(ndc, shade, [3, 4], image_size=8, reach=0.2, clip=0.2)
            return tuple(getattr(fragments, field) for field in FIELDS)

        assert torch.autograd.gradcheck(values, (ndc, shade), eps=1e-7, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_op_registration(self, dtype, opcheck):
        ndc, shade = (tensor.to(dtype).requires_grad_() for tensor in soup(8))
        opcheck(torch.ops.dr_kfs.soft_fragments.default, (ndc, shade, [3, 5], SIZE, 0.1, 0.2))

    @pytest.mark.parametrize("field", FIELDS)
    def test_one_value_alone_has_the_gradient_it_has_among_the_others(self, field):
        """Values that get no gradient cost nothing and change nothing."""
        ndc, shade = (tensor.float().requires_grad_() for tensor in soup())
        fragments = soft_fragments(ndc, shade, [40], **KWARGS)
        values = [getattr(fragments, name) for name in FIELDS]
        alone = torch.autograd.grad(getattr(fragments, field).sum(), ndc, retain_graph=True)[0]
        weights = [torch.full_like(value, float(name == field)) for name, value in zip(FIELDS, values, strict=True)]
        assert torch.equal(torch.autograd.grad(values, ndc, weights)[0], alone)

    def test_second_derivative_is_refused(self):
        ndc, shade = (tensor.requires_grad_() for tensor in soup(4))
        fragments = soft_fragments(ndc, shade, [4], **KWARGS)
        (first,) = torch.autograd.grad(fragments.depth.sum(), ndc, create_graph=True)
        with pytest.raises(RuntimeError, match="soft_fragments is differentiable once"):
            first.sum().backward()


class TestContents:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_pixels_lie_row_by_row_from_the_top_left_and_faces_in_order(self, dtype):
        near, far = square(0.0, 0.0, 0.5, 0.5, 2.6, 0.3, dtype), square(0.0, 0.0, 0.5, 0.5, 2.8, 0.9, dtype)
        ndc, shade = torch.cat([far[0], near[0]]), torch.cat([far[1], near[1]])
        fragments = soft_fragments(ndc, shade, [4], image_size=8, reach=1e-3, clip=0.2)
        counts = fragments.starts.diff().view(8, 8)
        assert counts[2:4, 4:6].min() >= 2  # x and y in [0, 0.5]: two columns right of the middle, two rows above it
        assert counts.sum() == counts[2:4, 4:6].sum() == fragments.starts[-1] == len(fragments.face)
        first, last = fragments.starts[2 * 8 + 5], fragments.starts[2 * 8 + 6]
        assert (fragments.face[first:last].diff() > 0).all()
        is_far = fragments.face[first:last] < 2
        assert is_far.any()
        assert not is_far.all()
        torch.testing.assert_close(fragments.depth[first:last], torch.where(is_far, 2.8, 2.6).to(dtype))
        torch.testing.assert_close(fragments.shade[first:last], torch.where(is_far, 0.9, 0.3).to(dtype))

    def test_signed_is_the_squared_distance_positive_inside(self):
        fragments = soft_fragments(*square(-0.5, -0.5, 0.5, 0.5, 2.7), [2], image_size=16, reach=0.2, clip=0.2)
        signed = {}
        for column in range(16):  # of the row above the middle, away from the corners
            pixel = 7 * 16 + column
            signed[column] = fragments.signed[fragments.starts[pixel] : fragments.starts[pixel + 1]]
        assert signed[1].numel() == 0  # 5/16 outside
        torch.testing.assert_close(signed[3].max(), torch.tensor(-((1 / 16) ** 2), dtype=torch.float64))
        torch.testing.assert_close(signed[4].max(), torch.tensor((1 / 16) ** 2, dtype=torch.float64))

    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
    def test_shares_of_a_surface_add_to_one(self, dtype, tolerance):
        """Whatever the triangles, down to parts of a pixel; what is left at the outline is the same for all."""
        corners, shade = (tensor.to(dtype) for tensor in square(-0.53, -0.41, 0.47, 0.52, 2.7))
        sums = []
        for _ in range(6):  # the last time 2,048 triangles of 16 x 16 pixels
            fragments = soft_fragments(corners, shade, [len(corners)], image_size=16, reach=0.2, clip=0.2)
            pixel = torch.arange(16 * 16).repeat_interleave(fragments.starts.diff())
            sums.append(torch.zeros(16 * 16, dtype=dtype).index_add(0, pixel, fragments.share).view(16, 16))
            corners, shade = subdivided(corners, shade)
        assert len(corners) == 8192
        torch.testing.assert_close(sums[0][6:10, 6:10], torch.ones(4, 4, dtype=dtype), atol=tolerance, rtol=0)
        assert sums[0][0].sum() == 0
        for finer in sums[1:]:
            torch.testing.assert_close(finer, sums[0], atol=tolerance, rtol=0)

    def test_the_share_is_an_area(self):
        """Half at an edge, the angle at a corner, the bump's integral beyond a line at half its radius."""
        corners = torch.tensor([[[0.0, 0.0, 2.7], [9.0, 0.0, 2.7], [0.0, 9.0, 2.7]]], dtype=torch.float64)
        shade = torch.ones(1, 3, dtype=torch.float64)
        shares = {}
        for name, x, y in (("corner", 0.0, 0.0), ("edge", 0.0, 1.0), ("beyond", -0.05, 1.0)):
            moved = corners - torch.tensor([x, y, 0.0], dtype=torch.float64)
            shares[name] = soft_fragments(moved, shade, [1], image_size=1, reach=0.1, clip=0.2).share.item()
        assert shares["corner"] == pytest.approx(0.25)
        assert shares["edge"] == pytest.approx(0.5)
        # Integral of 2 / pi (1 - r^2) over the disk's cap beyond 1/2: 8 / (3 pi) times that of (1 - x^2)^(3/2).
        cap = 8 / (3 * math.pi) * sum((1 - ((k + 0.5) / 2e5 + 0.5) ** 2) ** 1.5 for k in range(100_000)) / 2e5
        assert shares["beyond"] == pytest.approx(cap, abs=1e-9)

    def test_faces_are_counted_over_all_views(self):
        ndc, shade = soup(30)
        together = soft_fragments(ndc, shade, [10, 0, 20], **KWARGS)
        first, last = (
            soft_fragments(n, s, [len(n)], **KWARGS) for n, s in ((ndc[:10], shade[:10]), (ndc[10:], shade[10:]))
        )
        assert torch.equal(together.face, torch.cat([first.face, last.face + 10]))
        assert torch.equal(together.signed, torch.cat([first.signed, last.signed]))
        assert together.starts.diff().view(3, -1)[1].sum() == 0

    def test_faces_behind_the_camera_are_dropped(self):
        assert len(soft_fragments(*square(-0.5, -0.5, 0.5, 0.5, -1.0), [2], **KWARGS).face) == 0

    @pytest.mark.parametrize("counts", [[], [0], [0, 0]])
    @pytest.mark.parametrize("backend", ["warp", "reference"])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_no_faces(self, counts, backend, dtype):
        ndc = torch.zeros(0, 3, 3, dtype=dtype, requires_grad=True)
        fragments = soft_fragments(ndc, torch.zeros(0, 3, dtype=dtype), counts, backend=backend, **KWARGS)
        assert fragments.starts.tolist() == [0] * (len(counts) * SIZE * SIZE + 1)
        assert torch.autograd.grad(fragments.depth.sum(), ndc)[0].shape == (0, 3, 3)


class TestDegenerateInput:
    @given(
        st.lists(
            st.tuples(*[st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 0.5, -0.5, 1e-20]) for _ in range(9)]),
            min_size=1,
            max_size=6,
        )
    )
    def test_values_and_gradients_are_finite(self, rows):
        ndc = torch.tensor(rows).view(-1, 3, 3).requires_grad_()
        shade = torch.ones(len(rows), 3, requires_grad=True)
        fragments = soft_fragments(ndc, shade, [len(rows)], image_size=16, reach=0.05, clip=0.2)
        gradients = torch.autograd.grad(random_loss(fragments), [ndc, shade])
        for tensor in (*(getattr(fragments, field) for field in FIELDS), *gradients):
            assert tensor.isfinite().all()


class TestErrors:
    def test_counts_that_do_not_sum(self):
        with pytest.raises(ValueError, match="face_counts sums to 4, but there are 5"):
            soft_fragments(*soup(5), [4], **KWARGS)

    @pytest.mark.parametrize("bad", [{"reach": 0.0}, {"reach": float("inf")}, {"clip": -1.0}, {"image_size": 0}])
    def test_settings_that_are_not_positive(self, bad):
        with pytest.raises(ValueError, match="must be positive"):
            soft_fragments(*soup(5), [5], **{**KWARGS, **bad})


@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("name", ["count", "fill", "backward"])
def test_kernels_compile_to_ptx(assert_compiles_to_ptx, arch, name):
    assert_compiles_to_ptx(fragment_kernels, name, arch)


@pytest.mark.cuda
def test_cuda_equals_cpu():
    results = []
    for device in ("cpu", "cuda"):
        ndc, shade = (tensor.float().to(device).requires_grad_() for tensor in soup(200))
        fragments = soft_fragments(ndc, shade, [100, 100], image_size=64, reach=0.05, clip=0.2)
        gradients = torch.autograd.grad(fragments.depth.sum() + fragments.signed.sum(), [ndc, shade], allow_unused=True)
        results.append([fragments.starts.float().cpu(), gradients[0].cpu()])
    for cpu, cuda in zip(*results, strict=True):
        assert (cpu - cuda).norm() < 1e-3 * cpu.norm()
