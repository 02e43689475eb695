"""Fragments to images: kernels against the dense definitions, exact gradients, and the laws of translucency."""

import importlib.util
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_softras import soup, square, subdivided

from dr_kfs import SoftRenderer, hemisphere_rig, normalize
from dr_kfs.datasets import generate
from dr_kfs.rendering import soft_rasterize
from dr_kfs.rendering._compositing_reference import (
    composite_softras_dense,
    composite_translucent_dense,
)
from dr_kfs.rendering._compositing_warp import translucent_kernels
from dr_kfs.rendering._loose_faces import loose_faces
from dr_kfs.rendering._share_reference import dense_shares
from dr_kfs.rendering._softras_reference import dense_fragments, pixel_centres, reach
from dr_kfs.rendering.compositing import composite_softras, composite_translucent, softras_reach
from dr_kfs.rendering.fragments import soft_fragments
from dr_kfs.rendering.projection import project_meshes

SIZE, SIGMA, GAMMA, NEAR, FAR = 24, 2e-3, 1e-2, 2.1, 3.3
IMAGES = ("image", "alpha", "depth")


def translucent(ndc, shade, opacity, counts=None, *, size=SIZE, sigma=SIGMA, gamma=GAMMA):
    counts = [len(ndc)] if counts is None else counts
    fragments = soft_fragments(ndc, shade, counts, image_size=size, reach=reach(sigma), clip=0.2)
    return composite_translucent(fragments, opacity, sigma=sigma, gamma=gamma, far=FAR)


def softras(ndc, shade, counts=None, *, size=SIZE, sigma=SIGMA, gamma=GAMMA):
    counts = [len(ndc)] if counts is None else counts
    fragments = soft_fragments(ndc, shade, counts, image_size=size, reach=softras_reach(sigma), clip=0.2)
    return composite_softras(fragments, sigma=sigma, gamma=gamma, near=NEAR, far=FAR)


def some_opacities(count, seed=2, dtype=torch.float64):
    """Random ones, with some of 0 and some of 1 among them."""
    opacity = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    opacity[::7], opacity[3::7] = 0.0, 1.0
    return opacity


def random_loss(images, seed=1):
    """A fixed random linear functional of all three images."""
    generator = torch.Generator().manual_seed(seed)
    return sum((x * torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)).sum() for x in images)


def images_of(views):
    return [getattr(views, name) for name in IMAGES]


def dense_translucent(ndc, shade, opacity, counts, size):
    """Images of all views, from every face at every pixel."""
    pixels = pixel_centres(size, dtype=ndc.dtype, device=ndc.device)
    views = [
        composite_translucent_dense(
            dense_fragments(n, s, image_size=size),
            dense_shares(n[..., :2], pixels, reach(SIGMA)),
            o,
            gamma=GAMMA,
            far=FAR,
        )
        for n, s, o in zip(ndc.split(counts), shade.split(counts), opacity.split(counts), strict=True)
    ]
    return [torch.stack(images).view(len(counts), size, size) for images in zip(*views, strict=True)]


def dense_softras(ndc, shade, counts, size):
    """Images of all views, from every face at every pixel."""
    settings = {"sigma": SIGMA, "gamma": GAMMA, "near": NEAR, "far": FAR}
    rows = zip(ndc.split(counts), shade.split(counts), strict=True)
    views = [composite_softras_dense(dense_fragments(n, s, image_size=size), **settings) for n, s in rows]
    return [torch.stack(images).view(len(counts), size, size) for images in zip(*views, strict=True)]


def assert_same(expected, got, tolerance):
    for one, other in zip(expected, got, strict=True):
        scale = one.abs().max()
        torch.testing.assert_close(other / scale, one / scale, atol=tolerance, rtol=0)


class TestTranslucentAgainstReference:
    @pytest.mark.parametrize(
        ("dtype", "tolerance"),
        # float32: tens of additions of order 1 with 1 / sigma = 500 and 1 / gamma = 100 as amplifiers.
        [(torch.float64, 1e-11), (torch.float32, 1e-4)],
    )
    @pytest.mark.parametrize("size", [SIZE, 37])
    def test_values_and_gradients(self, dtype, tolerance, size):
        counts = [15, 25]
        inputs = [tensor.to(dtype).requires_grad_() for tensor in (*soup(), some_opacities(40))]
        expected = dense_translucent(*inputs, counts, size)
        got = images_of(translucent(*inputs, counts, size=size))
        gradients = [torch.autograd.grad(random_loss(images), inputs) for images in (expected, got)]
        assert_same([*expected, *gradients[0]], [*got, *gradients[1]], tolerance)

    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
    @pytest.mark.parametrize("spacing", [0.0, 0.3, 3.0, 50.0])  # [gamma]: coplanar, blending, in part, apart
    def test_many_layers(self, dtype, tolerance, spacing):
        """More than fit into a few runs of eight, in no order of depth."""
        order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
        layers = [
            square(-0.9, -0.9, 0.9, 0.9, 2.2 + GAMMA * spacing * float(layer), 0.01 * float(layer)) for layer in order
        ]
        ndc, shade = (torch.cat(tensors).to(dtype) for tensors in zip(*layers, strict=True))
        opacity = 0.2 * some_opacities(100).to(dtype)
        inputs = [tensor.requires_grad_() for tensor in (ndc, shade, opacity)]
        expected = dense_translucent(*inputs, [100], 6)
        got = images_of(translucent(*inputs, size=6))
        gradients = [torch.autograd.grad(random_loss(images), inputs) for images in (expected, got)]
        assert_same([*expected, *gradients[0]], [*got, *gradients[1]], tolerance)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_same_bits_with_one_and_two_threads(self, dtype):
        inputs = [tensor.to(dtype).requires_grad_() for tensor in (*soup(60), some_opacities(60))]
        before = torch.get_num_threads()
        results = []
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                images = images_of(translucent(*inputs, [10, 20, 30], size=64))  # more than one chunk of pixels
                results.append([*images, *torch.autograd.grad(random_loss(images), inputs)])
        finally:
            torch.set_num_threads(before)
        for one, two in zip(*results, strict=True):
            assert torch.equal(one, two)


class TestTranslucentGradient:
    def test_gradcheck(self):
        opacity = some_opacities(7).clamp(0.05, 0.95)
        inputs = [tensor.requires_grad_() for tensor in (*soup(7, seed=3), opacity)]

        def images(ndc, shade, opacity):
            return tuple(images_of(translucent(ndc, shade, opacity, [3, 4], size=8, sigma=1e-2, gamma=2e-2)))

        assert torch.autograd.gradcheck(images, inputs, eps=1e-7, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_op_registration(self, dtype, opcheck):
        ndc, shade = (tensor.to(dtype) for tensor in soup(8))
        fragments = soft_fragments(ndc, shade, [8], image_size=SIZE, reach=reach(SIGMA), clip=0.2)
        values = [tensor.detach().requires_grad_() for tensor in (fragments.depth, fragments.shade, fragments.share)]
        attenuation = torch.rand(8, dtype=dtype, requires_grad=True)
        inputs = (fragments.starts, fragments.face, *values, attenuation, GAMMA, FAR)
        opcheck(torch.ops.dr_kfs.composite_translucent.default, inputs)

    def test_opacity_equals_finite_differences(self):
        ndc, shade = soup()
        opacity = some_opacities(40).clamp(0.0, 0.99).requires_grad_()
        random_loss(images_of(translucent(ndc, shade, opacity))).backward()
        assert opacity.grad is not None
        for row in range(0, 40, 3):  # opacities of 0 among them: one-sided there
            step = torch.zeros(40, dtype=torch.float64)
            step[row] = 1e-6
            base = opacity.detach()
            low = base - step * (base[row] > 0)
            difference = random_loss(images_of(translucent(ndc, shade, base + step)))
            difference = difference - random_loss(images_of(translucent(ndc, shade, low)))
            numeric = difference / (base + step - low)[row]
            torch.testing.assert_close(opacity.grad[row], numeric, rtol=1e-4, atol=1e-5)

    def test_opacity_of_what_is_in_front_and_of_what_is_hidden(self):
        front, back = square(-0.5, -0.5, 0.5, 0.5, 2.6, 0.9), square(-0.4, -0.4, 0.4, 0.4, 2.8, 0.5)
        ndc, shade = torch.cat([front[0], back[0]]), torch.cat([front[1], back[1]])
        opacity = torch.tensor([1.0, 1.0, 0.5, 0.5], dtype=torch.float64, requires_grad=True)
        translucent(ndc, shade, opacity, sigma=1e-4).image.sum().backward()
        assert opacity.grad is not None
        assert (opacity.grad[:2] > 10).all()  # an opaque face can become translucent again
        assert (opacity.grad[2:].abs() < 2e-4 * opacity.grad[0]).all()  # 1 - OPAQUE of the light passes

    def test_second_derivative_is_refused(self):
        inputs = [tensor.requires_grad_() for tensor in (*soup(4), some_opacities(4))]
        (first,) = torch.autograd.grad(translucent(*inputs).image.sum(), inputs[2], create_graph=True)
        with pytest.raises(RuntimeError, match="composite_translucent is differentiable once"):
            first.sum().backward()


class TestTranslucentFormula:
    def test_separate_layers_composite_exactly(self):
        """Alpha compositing, to exp(-44), the gap in units of gamma beyond the margin."""
        (a, c), (b, d) = (0.3, 0.8), (0.6, 0.4)
        for first, second in ((0, 1), (1, 0)):
            layers = [square(-0.5, -0.5, 0.5, 0.5, 2.5, c), square(-0.5, -0.5, 0.5, 0.5, 3.0, d)]
            opacities = [torch.full((2,), a, dtype=torch.float64), torch.full((2,), b, dtype=torch.float64)]
            ndc, shade = (torch.cat([layers[first][i], layers[second][i]]) for i in range(2))
            views = translucent(ndc, shade, torch.cat([opacities[first], opacities[second]]), sigma=1e-4)
            inside = (0, SIZE // 2, SIZE // 2)
            assert views.alpha[inside] == pytest.approx(1 - (1 - a) * (1 - b), abs=1e-12)
            # A fragment lies to 2 sigmoid(-6) in front of and behind itself, which weighs layers by 5e-3 less.
            assert views.image[inside] == pytest.approx(a * c + (1 - a) * b * d, rel=2e-3)
            assert views.depth[inside] == pytest.approx(a * 2.5 + (1 - a) * b * 3.0 + (1 - a) * (1 - b) * FAR, rel=2e-3)

    def test_subdivision_changes_nothing(self):
        corners, shade = square(-0.53, -0.41, 0.47, 0.52, 2.7, 0.7)
        once = translucent(corners, shade, torch.full((2,), 0.4, dtype=torch.float64), size=64, sigma=1e-4)
        corners, shade = subdivided(*subdivided(corners, shade))
        opacity = torch.full((len(corners),), 0.4, dtype=torch.float64)
        twice = translucent(corners, shade, opacity, size=64, sigma=1e-4)
        assert once.alpha.max() == pytest.approx(0.4)
        for name in IMAGES:
            torch.testing.assert_close(getattr(twice, name), getattr(once, name), atol=1e-9, rtol=0)

    def test_opacity_0_is_absence(self):
        ndc, shade = soup(30)
        opacity = some_opacities(30).clamp(0.1, 0.9)
        opacity[::2] = 0.0
        results = []
        for rows in (slice(None), slice(1, None, 2)):
            inputs = [tensor[rows].clone().requires_grad_() for tensor in (ndc, shade, opacity)]
            images = images_of(translucent(*inputs))
            results.append((images, torch.autograd.grad(random_loss(images), inputs)))
        (with_them, gradients), (without, expected) = results
        for one, other in zip(without, with_them, strict=True):
            torch.testing.assert_close(other, one, atol=1e-12, rtol=0)
        for one, other in zip(expected, gradients, strict=True):
            torch.testing.assert_close(other[1::2], one, atol=1e-9, rtol=0)
        assert gradients[0][::2].abs().max() == gradients[1][::2].abs().max() == 0
        assert gradients[2][::2].abs().max() > 1

    def test_a_scene_of_opacity_0_has_the_gradient_of_a_trace_of_it(self):
        ndc, shade = soup(10)
        opacity = torch.zeros(10, dtype=torch.float64, requires_grad=True)
        views = translucent(ndc, shade, opacity)
        assert views.image.abs().max() == views.alpha.abs().max() == 0
        assert (views.depth == FAR).all()
        (gradient,) = torch.autograd.grad(random_loss(images_of(views)), opacity)
        direction = torch.rand(10, dtype=torch.float64)
        traces = [random_loss(images_of(translucent(ndc, shade, scale * direction))) for scale in (1e-7, 2e-7)]
        torch.testing.assert_close((gradient * direction).sum(), (traces[1] - traces[0]) / 1e-7, rtol=1e-4, atol=1e-4)

    def test_opacity_1_is_close_to_the_opaque_rasterizer(self):
        """They differ at outlines alone: there an opaque face of share 1/2 lets 1 % of the light through, not half."""
        sigma = 16e-5  # as soft at 64 px, in pixels, as 1e-5 at 256 px
        renderer = SoftRenderer(cameras=hemisphere_rig()[[1]])
        mesh = normalize(generate("chair", 2).to_meshes())
        seen = project_meshes(mesh.vertices, mesh.faces, renderer.cameras, lighting=renderer.lighting)
        ndc, shade = (
            rows.double() for rows in loose_faces(seen.corners, seen.faces, seen.shade, list(mesh.face_offsets))
        )
        opacity = torch.ones(len(mesh.faces), dtype=torch.float64)
        views = translucent(ndc, shade, opacity, size=64, sigma=sigma, gamma=1.2e-3)
        opaque = soft_rasterize(ndc, shade, [len(ndc)], image_size=64, sigma=sigma, gamma=1.2e-3, far=FAR)
        inside = -torch.nn.functional.max_pool2d(-opaque.alpha, 3, stride=1, padding=1) == 1  # all neighbours covered
        difference = (views.image - opaque.image).abs()
        assert inside.sum() > 150
        assert views.alpha[inside].min() > 1 - 1e-6
        assert difference[inside].mean() < 2e-3  # creases are blended by other shares
        assert difference[opaque.alpha == 0].max() == 0
        assert difference.mean() < 0.03
        assert (views.alpha - opaque.alpha).abs().mean() < 0.03

    @pytest.mark.parametrize("change", ["order", "winding"])
    def test_what_must_not_matter(self, change):
        ndc, shade = soup(30, seed=5)
        opacity = some_opacities(30)
        plain = translucent(ndc, shade, opacity)
        if change == "order":
            order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
            ndc, shade, opacity = ndc[order], shade[order], opacity[order]
        else:
            ndc, shade = ndc.flip(1), shade.flip(1)
        changed = translucent(ndc, shade, opacity)
        for name in IMAGES:
            torch.testing.assert_close(getattr(changed, name), getattr(plain, name), atol=1e-9, rtol=0)

    def test_layers_that_change_places_blend_smoothly(self):
        """No jump where one layer passes through the other: the image moves by little for each little step in depth."""
        steps = torch.linspace(-20, 20, 401, dtype=torch.float64).tolist()  # [gamma]
        squares = [
            layer
            for step in steps
            for layer in (square(-0.9, -0.9, 0.9, 0.9, 2.7, 1.0), square(-0.9, -0.9, 0.9, 0.9, 2.7 + GAMMA * step, 0.0))
        ]
        ndc, shade = (torch.cat(tensors) for tensors in zip(*squares, strict=True))
        opacity = torch.full((len(ndc),), 0.8, dtype=torch.float64)
        values = translucent(ndc, shade, opacity, [4] * len(steps), size=2).image[:, 0, 0]
        assert values[0] == pytest.approx(0.16, rel=1e-2)
        assert values[-1] == pytest.approx(0.8, rel=1e-2)
        assert (values.diff() > 0).all()
        assert values.diff().max() < 0.02

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_views_without_faces_are_background(self, dtype):
        ndc, shade = (tensor.to(dtype) for tensor in soup(20))
        opacity = some_opacities(20).to(dtype)
        views = translucent(ndc, shade, opacity, [0, 20, 0])
        assert torch.equal(views.alpha[1], translucent(ndc, shade, opacity).alpha[0])
        assert views.image[[0, 2]].sum() == views.alpha[[0, 2]].sum() == 0
        assert (views.depth[[0, 2]] == torch.tensor(FAR, dtype=dtype)).all()
        assert translucent(ndc[:0], shade[:0], opacity[:0], []).image.shape == (0, SIZE, SIZE)


class TestSoftras:
    @pytest.mark.parametrize(
        ("dtype", "tolerance"),
        # float32: 1 / gamma = 100 amplifies the rounding of depths in an exponential.
        [(torch.float64, 1e-11), (torch.float32, 2e-4)],
    )
    def test_values_and_gradients(self, dtype, tolerance):
        inputs = [tensor.to(dtype).requires_grad_() for tensor in soup()]
        expected = dense_softras(*inputs, [15, 25], SIZE)
        got = images_of(softras(*inputs, [15, 25]))
        gradients = [torch.autograd.grad(random_loss(images), inputs) for images in (expected, got)]
        assert_same([*expected, *gradients[0]], [*got, *gradients[1]], tolerance)

    def test_one_face_is_the_formula(self):
        """Deep inside D is 1, on an edge 1/2; the background weighs 1e-10."""
        views = softras(*square(-1.0, -1.0, 1.0, 0.0, 2.7, 0.8), size=33, sigma=1e-4)
        assert views.image[0, 24, 16] == pytest.approx(0.8)
        assert views.alpha[0, 16, 12] == pytest.approx(0.5)  # row 16 of 33 lies on y = 0
        assert views.depth[0, 24, 16] == pytest.approx(2.7)
        assert views.image[0, 0, 0] == views.alpha[0, 0, 0] == 0
        assert views.depth[0, 0, 0] == pytest.approx(FAR)

    def test_one_view_without_faces(self):
        views = softras(*soup(20), [0, 20])
        assert views.image[0].sum() == views.alpha[0].sum() == 0


class TestDegenerateInput:
    @given(
        st.lists(
            st.tuples(*[st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 0.5, -0.5, 1e-20]) for _ in range(9)]),
            min_size=1,
            max_size=6,
        ),
        st.sampled_from([0.0, 1e-30, 1e-6, 0.5, 1.0]),
    )
    def test_values_and_gradients_are_finite(self, rows, opacity):
        ndc = torch.tensor(rows).view(-1, 3, 3).requires_grad_()
        shade = torch.ones(len(rows), 3, requires_grad=True)
        opacities = torch.full((len(rows),), opacity, requires_grad=True)
        for views in (
            translucent(ndc, shade, opacities, size=16, sigma=1e-4),
            softras(ndc, shade, size=16, sigma=1e-4, gamma=1e-4),
        ):
            images = images_of(views)
            gradients = torch.autograd.grad(random_loss(images), [ndc, shade, opacities], allow_unused=True)
            for tensor in (*images, *gradients[:2]):
                assert tensor.isfinite().all()
            assert gradients[2] is None or gradients[2].isfinite().all()

    def test_a_thousand_coplanar_opaque_faces(self):
        ndc, shade = (tensor.float() for tensor in square(-0.9, -0.9, 0.9, 0.9, 2.7, 0.5))
        inputs = [ndc.repeat(500, 1, 1), shade.repeat(500, 1), torch.ones(1000)]
        inputs = [tensor.requires_grad_() for tensor in inputs]
        views = translucent(*inputs, size=4)
        assert views.image[0, 1, 1].item() == pytest.approx(0.5)
        for gradient in torch.autograd.grad(views.image.sum() + views.depth.sum(), inputs):
            assert gradient.isfinite().all()


class TestErrors:
    @pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
    def test_opacities_out_of_range(self, bad):
        opacity = some_opacities(30)
        opacity[17] = bad
        with pytest.raises(ValueError, match=rf"must lie in \[0, 1\], got {bad} for face 7 of view 2"):
            translucent(*soup(30), opacity, [10, 0, 20])

    def test_opacities_of_other_faces(self):
        with pytest.raises(ValueError, match="one entry for each of the 30 faces, got 29"):
            translucent(*soup(30), some_opacities(29))

    def test_fragments_of_another_reach(self):
        fragments = soft_fragments(*soup(5), [5], image_size=8, reach=reach(2 * SIGMA), clip=0.2)
        with pytest.raises(ValueError, match=r"pass reach=reach\(sigma\) to soft_fragments"):
            composite_translucent(fragments, some_opacities(5), sigma=SIGMA, gamma=GAMMA, far=FAR)
        with pytest.raises(ValueError, match=r"pass reach=softras_reach\(sigma\) to soft_fragments"):
            composite_softras(fragments, sigma=2 * SIGMA, near=NEAR, far=FAR)

    def test_settings(self):
        fragments = soft_fragments(*soup(5), [5], image_size=8, reach=1.0, clip=0.2)
        with pytest.raises(ValueError, match="sigma and gamma must be positive"):
            composite_softras(fragments, sigma=0.0, near=NEAR, far=FAR)
        with pytest.raises(ValueError, match="sigma and gamma must be positive"):
            composite_translucent(fragments, some_opacities(5), sigma=SIGMA, gamma=-1.0, far=FAR)
        with pytest.raises(ValueError, match="far must lie beyond near"):
            composite_softras(fragments, sigma=SIGMA, near=FAR, far=FAR)


@pytest.mark.skipif(importlib.util.find_spec("pytorch3d") is None, reason="PyTorch3D is not installed: it has no wheel")
@pytest.mark.filterwarnings("ignore")
class TestPyTorch3D:
    """The same fragments and the same blending, with more faces per pixel than there are anywhere."""

    @staticmethod
    def theirs(ndc, shade, *, size, sigma, gamma):
        from pytorch3d.renderer.blending import BlendParams, sigmoid_alpha_blend, softmax_rgb_blend
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.renderer.mesh.rasterizer import Fragments
        from pytorch3d.structures import Meshes

        corners = (ndc * ndc.new_tensor([-1.0, 1.0, 1.0])).flatten(0, 1)  # PyTorch3D's x points left
        indices = torch.arange(len(corners)).view(-1, 3)
        face, depth, barycentric, signed = rasterize_meshes(
            Meshes(verts=[corners], faces=[indices]),
            image_size=size,
            blur_radius=math.log(1.0 / 1e-4 - 1.0) * sigma,
            faces_per_pixel=len(ndc),
            bin_size=0,
            perspective_correct=True,
            clip_barycentric_coords=True,
            cull_backfaces=False,
        )
        fragments = Fragments(pix_to_face=face, zbuf=depth, bary_coords=barycentric, dists=signed)
        colors = (barycentric * shade[face.clamp_min(0)]).sum(-1, keepdim=True).expand(-1, -1, -1, -1, 3)
        blend = BlendParams(sigma=sigma, gamma=gamma, background_color=(0.0, 0.0, 0.0))
        image = softmax_rgb_blend(colors, fragments, blend, znear=NEAR, zfar=FAR)
        return image[..., 0], image[..., 3], sigmoid_alpha_blend(colors, fragments, blend)[..., 3]

    @pytest.mark.parametrize("gamma", [1e-4, 1e-2])
    @pytest.mark.parametrize("sigma", [1e-4, 1e-3])
    def test_faces_that_look_at_the_camera(self, sigma, gamma):
        """Each at one depth and of one shade: where a face does not cover a pixel, PyTorch3D reads off neither."""
        ndc, shade = (tensor.float() for tensor in soup(40, seed=7))
        ndc = torch.cat([ndc[..., :2], (2.2 + 0.02 * torch.arange(40.0))[:, None, None].expand(-1, 3, 1)], dim=-1)
        shade = shade[:, :1].expand(-1, 3).contiguous()
        gradients, values = [], []
        for compute in ("ours", "theirs"):
            corners, colors = ndc.clone().requires_grad_(), shade.clone().requires_grad_()
            if compute == "ours":
                views = softras(corners, colors, size=48, sigma=sigma, gamma=gamma)
                image, alpha = views.image, views.alpha
            else:
                image, alpha, alone = self.theirs(corners, colors, size=48, sigma=sigma, gamma=gamma)
                torch.testing.assert_close(alone, alpha)
            values.append((image, alpha))
            # Alpha sees the distances alone; of the shades, only a face's sum does not see the barycentrics.
            gradients.append(
                [
                    torch.autograd.grad(random_loss([alpha]), corners, retain_graph=True)[0][..., :2],
                    torch.autograd.grad(random_loss([image]), colors)[0].sum(1),
                ]
            )
        for one, other in zip(*values, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
        for one, other in zip(*gradients, strict=True):
            assert (one - other).norm() < 1e-4 * other.norm()


@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_kernels_compile_to_ptx(assert_compiles_to_ptx, arch, name):
    assert_compiles_to_ptx(translucent_kernels, name, arch)


@pytest.mark.cuda
def test_cuda_equals_cpu():
    results = []
    for device in ("cpu", "cuda"):
        inputs = [tensor.float().to(device).requires_grad_() for tensor in (*soup(200), some_opacities(200))]
        images = images_of(translucent(*inputs, [100, 100], size=64))
        gradients = torch.autograd.grad(sum(image.square().sum() for image in images), inputs)
        results.append([tensor.cpu() for tensor in (*images, *gradients)])
    for cpu, cuda in zip(*results, strict=True):
        assert (cpu - cuda).norm() < 1e-3 * cpu.norm()
