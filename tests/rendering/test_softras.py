"""The soft rasterizer: kernels against the reference, exact gradients, and the laws of its formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_kfs.rendering import rasterize_meshes, soft_rasterize
from dr_kfs.rendering._loose_faces import loose_faces

SIZE = 24
KWARGS = {"image_size": SIZE, "sigma": 2e-3, "gamma": 1e-2}


def soup(count=40, seed=0, dtype=torch.float64):
    """Random triangles of mixed sizes in front of the camera, some of them partly outside the image."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 1, 2, generator=generator, dtype=dtype) * 2 - 1
    corners = centre + 0.4 * torch.randn(count, 3, 2, generator=generator, dtype=dtype)
    depth = 2.7 + 0.2 * torch.randn(count, 1, 1, generator=generator, dtype=dtype)
    depth = depth + 0.03 * torch.randn(count, 3, 1, generator=generator, dtype=dtype)
    shade = torch.rand(count, 3, generator=generator, dtype=dtype)
    return torch.cat([corners, depth], dim=-1), shade


def random_loss(views, seed=1):
    """A fixed random linear functional of all three images."""
    generator = torch.Generator().manual_seed(seed)
    return sum(
        (image * torch.randn(image.shape, generator=generator, dtype=torch.float64).to(image)).sum()
        for image in (views.image, views.alpha, views.depth)
    )


def square(x0, y0, x1, y1, depth, shade=1.0, dtype=torch.float64):
    """Two triangles."""
    a, b, c, d = [x0, y0, depth], [x1, y0, depth], [x1, y1, depth], [x0, y1, depth]
    return torch.tensor([[a, b, c], [a, c, d]], dtype=dtype), torch.full((2, 3), shade, dtype=dtype)


def subdivided(corners, shade):
    """Every triangle in four, on the same surface."""
    mid = (corners + corners.roll(-1, 1)) / 2
    mid_shade = (shade + shade.roll(-1, 1)) / 2
    pieces, shades = [], []
    for i in range(3):
        pieces.append(torch.stack([corners[:, i], mid[:, i], mid[:, i - 1]], 1))
        shades.append(torch.stack([shade[:, i], mid_shade[:, i], mid_shade[:, i - 1]], 1))
    return torch.cat([*pieces, mid]), torch.cat([*shades, mid_shade])


class TestKernelAgainstReference:
    @pytest.mark.parametrize(
        ("dtype", "tolerance"),
        # float32: a few hundred additions of order 1 with 1 / sigma = 500 and 1 / gamma = 100 as amplifiers.
        [(torch.float64, 1e-11), (torch.float32, 3e-4)],
    )
    @pytest.mark.parametrize("size", [SIZE, 37])  # whole runs of eight pixels, and not
    def test_values_and_gradients(self, dtype, tolerance, size):
        ndc, shade = (tensor.to(dtype).requires_grad_() for tensor in soup())
        results = []
        for backend in ("reference", "warp"):
            views = soft_rasterize(ndc, shade, [15, 25], backend=backend, **{**KWARGS, "image_size": size})
            gradients = torch.autograd.grad(random_loss(views), [ndc, shade])
            results.append([views.image, views.alpha, views.depth, *gradients])
        for expected, got in zip(*results, strict=True):
            scale = expected.abs().max()
            torch.testing.assert_close(got / scale, expected / scale, atol=tolerance, rtol=0)

    def test_half_precision_is_computed_in_float32(self):
        ndc, shade = soup(10)
        half = soft_rasterize(ndc.half(), shade.half(), [10], **KWARGS)
        full = soft_rasterize(ndc.half().float(), shade.half().float(), [10], **KWARGS)
        assert half.image.dtype == torch.float32
        assert torch.equal(half.image, full.image)

    def test_same_bits_with_one_and_two_threads(self):
        ndc, shade = (tensor.float().requires_grad_() for tensor in soup(60))
        before = torch.get_num_threads()
        results = []
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                views = soft_rasterize(ndc, shade, [10, 20, 30], **KWARGS)
                results.append([views.image, *torch.autograd.grad(random_loss(views), [ndc, shade])])
        finally:
            torch.set_num_threads(before)
        for one, two in zip(*results, strict=True):
            assert torch.equal(one, two)


class TestGradient:
    def test_kernel_gradcheck(self):
        ndc, shade = (tensor.requires_grad_() for tensor in soup(12, seed=3))

        def images(ndc, shade):
            views = soft_rasterize(ndc, shade, [5, 7], image_size=12, sigma=1e-2, gamma=2e-2)
            return views.image, views.alpha, views.depth

        assert torch.autograd.gradcheck(images, (ndc, shade), eps=1e-7, atol=1e-4, rtol=1e-3)

    def test_op_registration(self, opcheck):
        ndc, shade = soup(8)
        corners, faces = ndc.view(1, 24, 3).repeat(2, 1, 1).requires_grad_(), torch.arange(24).view(8, 3)
        op = torch.ops.dr_kfs.soft_rasterize.default
        for shades in (shade.repeat(2, 1, 1), shade[:, :1].repeat(2, 1, 1)):
            opcheck(op, (corners, faces, shades.requires_grad_(), [0, 3, 8], SIZE, 2e-3, 1e-2, 3.3, 0.2))

    @pytest.mark.parametrize(("edge", "sign"), [(0.55, 1.0), (0.25, -1.0)])
    def test_outline_grows_and_shrinks_towards_the_target(self, edge, sign):
        target = soft_rasterize(*square(-0.4, -0.4, edge, 0.4, 2.7), [2], image_size=64, sigma=1e-4).image
        ndc, shade = square(-0.4, -0.4, 0.4, 0.4, 2.7)
        ndc.requires_grad_()
        (soft_rasterize(ndc, shade, [2], image_size=64, sigma=1e-4).image - target).square().sum().backward()
        right = ndc.grad[..., 0][ndc.detach()[..., 0] > 0]
        assert -sign * right.sum() > 0.1

    def test_an_inner_contour_moves(self):
        """A bar in front of a wall: the original formula gives its contour no gradient."""
        wall, wall_shade = square(-0.9, -0.9, 0.9, 0.9, 3.0, 0.5)

        def picture(bar):
            faces = torch.cat([wall, bar[0]])
            return soft_rasterize(faces, torch.cat([wall_shade, bar[1]]), [4], image_size=64, sigma=1e-4).image

        target = picture(square(-0.6, -0.1, 0.62, 0.1, 2.7))
        bar = square(-0.6, -0.1, 0.6, 0.1, 2.7)
        bar[0].requires_grad_()
        (picture(bar) - target).square().sum().backward()
        right = bar[0].grad[..., 0][bar[0].detach()[..., 0] > 0]
        assert right.sum() < -0.01

    def test_second_derivative_is_refused(self):
        ndc, shade = (tensor.requires_grad_() for tensor in soup(4))
        views = soft_rasterize(ndc, shade, [4], **KWARGS)
        (first,) = torch.autograd.grad(views.image.sum(), ndc, create_graph=True)
        with pytest.raises(RuntimeError, match="differentiable once"):
            first.sum().backward()


class TestFormula:
    def test_inside_is_the_shade_and_outside_is_black(self):
        views = soft_rasterize(*square(-0.5, -0.5, 0.5, 0.5, 2.7, 0.8), [2], image_size=32, far=3.3)
        assert views.image[0, 16, 16] == pytest.approx(0.8)
        assert views.alpha[0, 16, 16] == 1.0
        assert views.depth[0, 16, 16] == pytest.approx(2.7)
        assert views.image[0, 0, 0] == 0.0
        assert views.alpha[0, 0, 0] == 0.0
        assert views.depth[0, 0, 0] == pytest.approx(3.3)

    def test_rows_run_down_and_columns_right(self):
        views = soft_rasterize(*square(0.2, 0.2, 0.9, 0.9, 2.7), [2], image_size=32)
        assert views.alpha[0, :13, 19:].sum() > 0.999 * views.alpha.sum()

    def test_the_nearer_face_is_seen(self):
        near, far = square(-0.5, -0.5, 0.5, 0.5, 2.6, 0.3), square(-0.5, -0.5, 0.5, 0.5, 2.8, 0.9)
        for pair in ((near, far), (far, near)):
            image = soft_rasterize(torch.cat([p[0] for p in pair]), torch.cat([p[1] for p in pair]), [4], image_size=16)
            assert image.image[0, 8, 8] == pytest.approx(0.3, abs=1e-6)

    @pytest.mark.parametrize("edge", [7, 8, 9, 16])
    @pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
    @pytest.mark.parametrize("wide", [0.1371, 0.771])
    @pytest.mark.parametrize("size", [29, 32])  # the last block of eight: not whole, and whole
    def test_faces_beside_what_hides_the_others(self, edge, side, wide, size):
        """The CPU kernels pass over faces behind a whole neighbourhood of pixels, not over those that look out."""
        high, count = 0.943 * wide, int(2.4 / wide) + 2  # no edge through the centre of a pixel
        starts = [(wide * i - 1.29, high * j - 1.29) for i in range(count) for j in range(count)]
        sheet = [square(x, y, x + wide, y + high, 3.0, 0.5) for x, y in starts]
        screen = square(-1.5, -1.5, 2 * edge / size - 1, 1.5, 2.5, 1.0)
        ndc, shade = (torch.cat(parts) for parts in zip(screen, *sheet, strict=True))
        if side in ("top", "bottom"):
            ndc = ndc[..., [1, 0, 2]] * torch.tensor([1, -1, 1])
        if side in ("right", "bottom"):
            ndc = ndc * torch.tensor([-1, -1, 1])
        found = []
        for dtype in (torch.float32, torch.float64):
            corners, shades = (x.to(dtype).requires_grad_() for x in (ndc, shade))
            views = soft_rasterize(corners, shades, [len(ndc)], image_size=size, sigma=1e-3, gamma=1e-3)
            found.append([*vars(views).values(), *torch.autograd.grad(random_loss(views), (corners, shades))])
        for lanes, exact in zip(*found, strict=True):
            assert (lanes - exact).norm() < 1e-3 * exact.norm()

    def test_a_thin_plate_shows_its_own_side_only(self):
        """1 % of the diagonal apart."""
        front, back = square(-0.5, -0.5, 0.5, 0.5, 2.7, 0.9), square(-0.5, -0.5, 0.5, 0.5, 2.71, 0.5)
        both = soft_rasterize(torch.cat([front[0], back[0]]), torch.cat([front[1], back[1]]), [4], image_size=16)
        assert (both.image[0, 8, 8] - 0.9).abs() < 1e-3

    def test_subdivision_changes_neither_alpha_nor_the_image_of_a_flat_face(self):
        corners, shade = square(-0.53, -0.41, 0.47, 0.52, 2.7, 0.7)
        once = soft_rasterize(corners, shade, [2], image_size=64, sigma=1e-4)
        corners, shade = subdivided(*subdivided(corners, shade))
        twice = soft_rasterize(corners, shade, [len(corners)], image_size=64, sigma=1e-4)
        torch.testing.assert_close(twice.alpha, once.alpha, atol=1e-9, rtol=0)
        torch.testing.assert_close(twice.image, once.image, atol=1e-9, rtol=0)

    @pytest.mark.parametrize("change", ["order", "winding", "duplicates"])
    def test_what_must_not_matter(self, change):
        ndc, shade = soup(30, seed=5)
        plain = soft_rasterize(ndc, shade, [30], **KWARGS)
        if change == "order":
            order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
            ndc, shade = ndc[order], shade[order]
        elif change == "winding":
            ndc, shade = ndc.flip(1), shade.flip(1)
        else:
            ndc, shade = ndc.repeat(2, 1, 1), shade.repeat(2, 1)
        changed = soft_rasterize(ndc, shade, [len(ndc)], **KWARGS)
        for name in ("image", "alpha", "depth"):
            torch.testing.assert_close(getattr(changed, name), getattr(plain, name), atol=1e-9, rtol=0)

    def test_views_of_different_sizes_are_independent(self):
        ndc, shade = soup(30)
        together = soft_rasterize(ndc, shade, [10, 0, 20], **KWARGS)
        assert torch.equal(together.image[0], soft_rasterize(ndc[:10], shade[:10], [10], **KWARGS).image[0])
        assert together.alpha[1].sum() == 0
        assert torch.equal(together.image[2], soft_rasterize(ndc[10:], shade[10:], [20], **KWARGS).image[0])

    def test_faces_behind_the_camera_are_dropped(self):
        ndc, shade = square(-0.5, -0.5, 0.5, 0.5, -1.0)
        assert soft_rasterize(ndc, shade, [2], image_size=16).alpha.sum() == 0


class TestDegenerateInput:
    @pytest.mark.parametrize("columns", [1, 3])
    @pytest.mark.parametrize(
        "corners",
        [
            # Beside this face, at the centre of a pixel of the same patch, 1 / z goes through 0 exactly.
            [[-0.875, 0.875, 1.0], [-0.625, 0.875, 2.0], [-0.875, 0.625, 1.0]],
            # Beside 1 / 0.25, 1 / 1e8 is nothing in float32.
            [[-0.5, -0.5, 0.25], [0.5, -0.4, 0.25], [0.1, 0.5, 1e8]],
        ],
    )
    def test_depths_that_cancel_or_are_far_apart(self, corners, columns):
        ndc, shade = torch.tensor(corners).requires_grad_(), torch.ones(1, 1, columns, requires_grad=True)
        faces = torch.arange(3)[None]
        views = rasterize_meshes(ndc[None], faces, shade, [0, 1], image_size=8, sigma=1e-2)
        gradients = torch.autograd.grad(random_loss(views), (ndc, shade))
        assert all(tensor.isfinite().all() for tensor in (*vars(views).values(), *gradients))
        depths, covered = ndc[:, 2].detach(), views.depth[views.alpha == 1]
        assert ((covered > 0.99 * depths.min()) & (covered < 1.01 * depths.max())).all()

    @settings(max_examples=40, deadline=None)
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
        views = soft_rasterize(ndc, shade, [len(rows)], image_size=16, sigma=1e-4)
        gradients = torch.autograd.grad(random_loss(views), [ndc, shade])
        for tensor in (views.image, views.alpha, views.depth, *gradients):
            assert tensor.isfinite().all()


class TestErrors:
    def test_counts_that_do_not_sum(self):
        ndc, shade = soup(5)
        with pytest.raises(ValueError, match="face_counts sums to 4, but there are 5"):
            soft_rasterize(ndc, shade, [4])

    @pytest.mark.parametrize("bad", [{"sigma": 0.0}, {"gamma": -1.0}, {"image_size": 0}])
    def test_settings_that_are_not_positive(self, bad):
        ndc, shade = soup(5)
        with pytest.raises(ValueError, match="must be positive"):
            soft_rasterize(ndc, shade, [5], **{**KWARGS, **bad})


def test_what_the_operator_returns_is_its_own():
    """A hidden output that is written to does not change what is rendered later."""
    corners, shade = (tensor.float() for tensor in soup(20))
    arguments = (corners.view(1, 60, 3), torch.arange(60).view(20, 3), shade[None], [0, 20], 32, 1e-4, 1e-3, 3.3, 0.2)
    first = torch.ops.dr_kfs.soft_rasterize(*arguments)
    alpha = first[1].clone()
    for hidden in first[3:]:
        hidden.zero_()
    assert torch.equal(torch.ops.dr_kfs.soft_rasterize(*arguments)[1], alpha)


def test_a_triangle_that_reaches_far_beyond_the_screen_is_drawn():
    corners = torch.tensor([[[-0.5, -0.5, 2.7], [1e8, -0.5, 2.7], [-0.5, 0.5, 2.7]]], dtype=torch.float64)
    shade = torch.ones(1, 3, dtype=torch.float64)
    kernels, reference = (
        soft_rasterize(corners, shade, [1], image_size=64, sigma=1e-4, backend=backend)
        for backend in ("warp", "reference")
    )
    assert reference.alpha.sum() > 500
    torch.testing.assert_close(kernels.alpha, reference.alpha, atol=1e-6, rtol=0)


class TestMeshes:
    """`rasterize_meshes`: cameras and meshes at once, corners by index."""

    def scene(self, dtype=torch.float32):
        generator = torch.Generator().manual_seed(0)
        corners = torch.rand(2, 9, 3, generator=generator, dtype=torch.float64)
        corners = corners * torch.tensor([1.4, 1.4, 0.5]) + torch.tensor([-0.7, -0.7, 2.5])
        faces = torch.tensor([[0, 1, 2], [2, 1, 3], [4, 5, 6], [6, 5, 7], [7, 8, 4]])
        shade = torch.rand(2, 5, 3, generator=generator, dtype=torch.float64)
        return corners.to(dtype).requires_grad_(), faces, shade.to(dtype).requires_grad_(), (0, 2, 5)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_are_their_loose_faces(self, dtype):
        corners, faces, shade, offsets = self.scene(dtype)
        together = rasterize_meshes(corners, faces, shade, offsets, **KWARGS)
        rows = loose_faces(corners, faces, shade, list(offsets))
        apart = soft_rasterize(*rows, [2, 2, 3, 3], **KWARGS)
        assert torch.equal(together.image, apart.image)
        weights = torch.rand(together.image.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        found = torch.autograd.grad((together.image * weights).sum(), (corners, shade))
        expected = torch.autograd.grad((apart.image * weights).sum(), (corners, shade))
        assert expected[0].abs().max() > 0
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other)

    def test_one_shade_serves_a_face(self):
        corners, faces, shade, offsets = self.scene()
        flat = shade.detach()[..., :1].clone().requires_grad_()
        one = rasterize_meshes(corners, faces, flat, offsets, **KWARGS).image
        three = rasterize_meshes(corners, faces, flat.expand(-1, -1, 3), offsets, **KWARGS).image
        torch.testing.assert_close(one, three)  # three are interpolated
        found, expected = (torch.autograd.grad(image.square().sum(), flat)[0] for image in (one, three))
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_none_at_all(self, dtype):
        nothing = torch.zeros(0, 3, 3, dtype=dtype, requires_grad=True)
        views = soft_rasterize(nothing, torch.zeros(0, 3, dtype=dtype), [], image_size=16)
        assert views.image.shape == (0, 16, 16)
        corners, faces, shade, offsets = self.scene(dtype)
        none = rasterize_meshes(corners[:0], faces, shade[:0], offsets, image_size=16)
        (gradient,) = torch.autograd.grad(none.image.sum(), corners)
        assert gradient.abs().sum() == 0

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_vertex_that_is_not_there(self, dtype):
        corners, faces, shade, offsets = self.scene(dtype)
        with pytest.raises(IndexError, match="there are 8"):
            rasterize_meshes(corners[:, :8], faces, shade, offsets, image_size=16)

    def test_a_vertex_of_two_meshes(self):
        corners, faces, shade, offsets = self.scene()
        faces[3, 0] = 1
        with pytest.raises(ValueError, match="share a vertex"):
            rasterize_meshes(corners, faces, shade, offsets, image_size=16)

    @pytest.mark.parametrize("offsets", [(0, 2, 4), (1, 5), (0, 4, 2, 5), ()])
    def test_offsets_that_are_not_the_faces(self, offsets):
        corners, faces, shade, _ = self.scene()
        with pytest.raises(ValueError, match="must rise from 0 to 5"):
            rasterize_meshes(corners, faces, shade, offsets, image_size=16)

    def test_one_device(self):
        corners, faces, shade, offsets = self.scene()
        with pytest.raises(ValueError, match="on one device"):
            rasterize_meshes(corners, faces.to("meta"), shade, offsets, image_size=16)
