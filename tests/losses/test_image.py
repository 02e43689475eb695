"""The image loss: its value, its gradient, how it normalises, what it refuses."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from dr_kfs import Meshes, SoftRenderer, hemisphere_rig, icosphere
from dr_kfs.datasets import generate
from dr_kfs.losses import ImageLoss, image_loss
from dr_kfs.rendering import Views


def views(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Views:
    generator = torch.Generator().manual_seed(seed)
    return Views(*(torch.rand(*shape, generator=generator, dtype=dtype) for _ in range(3)))


@pytest.fixture(scope="module")
def renderer() -> SoftRenderer:
    return SoftRenderer(cameras=hemisphere_rig()[[1, 24]], image_size=64)


@pytest.fixture(scope="module")
def table() -> Meshes:
    return generate("table", 2).to_meshes()


class TestImageLoss:
    @pytest.mark.parametrize(("channel", "field"), [("shade", "images"), ("alpha", "alpha")])
    def test_value_by_hand(self, channel, field):
        a, b = views(2, 3, 4, 4), views(2, 3, 4, 4, seed=1)
        values = image_loss(a, b, channel=channel, reduction="none")
        for item in range(2):
            expected = torch.nn.functional.mse_loss(getattr(a, field)[item], getattr(b, field)[item])
            torch.testing.assert_close(values[item], expected)
        torch.testing.assert_close(image_loss(a, b, channel=channel), values.mean())
        torch.testing.assert_close(image_loss(a, b, channel=channel, reduction="sum"), values.sum())

    def test_one_target_for_all(self):
        a, b = views(2, 3, 4, 4), views(1, 3, 4, 4, seed=1)
        values = image_loss(a, b, reduction="none")
        torch.testing.assert_close(values, (a.images - b.images).square().mean((1, 2, 3)))

    def test_gradient(self):
        target = views(1, 2, 3, 3, seed=1, dtype=torch.float64)

        def of_images(images):
            return image_loss(Views(images, images, images), target, reduction="none")

        assert torch.autograd.gradcheck(of_images, views(2, 2, 3, 3, dtype=torch.float64).images.requires_grad_())

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"predicted \(2, 3, 4, 4\) and target \(2, 2, 4, 4\)"):
            image_loss(views(2, 3, 4, 4), views(2, 2, 4, 4))
        with pytest.raises(ValueError, match="views of equal shape"):
            image_loss(views(3, 1, 4, 4), views(2, 1, 4, 4))


class TestImageLossModule:
    def test_is_the_function_of_rendered_views(self, renderer, table):
        sphere = icosphere(1)
        loss = ImageLoss(renderer=renderer, normalize="none")
        expected = image_loss(renderer(sphere), renderer(table))
        torch.testing.assert_close(loss(sphere, table), expected)
        assert not list(loss.parameters())
        assert not loss.state_dict()

    def test_identity_and_units(self, renderer, table):
        loss = ImageLoss(renderer=renderer)
        assert loss(table, table).item() == 0.0
        sphere = icosphere(1)
        value = loss(sphere.with_vertices(sphere.vertices * 0.8), table)
        moved = sphere.with_vertices(sphere.vertices * 24.0 + 5.0)
        torch.testing.assert_close(
            loss(moved, table.with_vertices(table.vertices * 30.0 + 5.0)), value, rtol=1e-3, atol=1e-6
        )

    def test_each_own_box_forgives_size(self, renderer, table):
        larger = table.with_vertices(table.vertices * 1.3)
        # Scaling rounds in float32: a few edge pixels differ in the last digits.
        assert ImageLoss(renderer=renderer, normalize="each")(larger, table) < 1e-7
        assert ImageLoss(renderer=renderer, normalize="target")(larger, table) > 1e-3

    def test_batch_is_a_loop(self, renderer, table):
        spheres = Meshes.cat([icosphere(0), icosphere(1)])
        loss = ImageLoss(renderer=renderer, channel="alpha", reduction="none")
        torch.testing.assert_close(loss(spheres, table), torch.cat([loss(sphere, table) for sphere in spheres.split()]))

    def test_views_are_a_part_of_the_rig(self, renderer, table):
        loss, sphere = ImageLoss(renderer=renderer), icosphere(1)
        parts = torch.stack([loss(sphere, table, views=[view]) for view in range(2)])
        torch.testing.assert_close(parts.mean(), loss(sphere, table))

    @pytest.mark.parametrize("channel", ["shade", "alpha"])
    def test_descends(self, renderer, table, channel):
        loss, sphere = ImageLoss(renderer=renderer, channel=channel, normalize="none"), icosphere(1)
        vertices = (0.6 * sphere.vertices).requires_grad_()
        before = loss(sphere.with_vertices(vertices), icosphere(2))
        (gradient,) = torch.autograd.grad(before, vertices)
        assert gradient.isfinite().all()
        after = loss(sphere.with_vertices(vertices - 0.02 * gradient / gradient.abs().max()), icosphere(2))
        assert after < before

    def test_bad_input(self, renderer, table):
        # The import hook of conftest.py refuses other words before the library does.
        with pytest.raises((ValueError, TypeCheckError), match="normalize"):
            ImageLoss(normalize="both")  # pyright: ignore[reportArgumentType]
        with pytest.raises((ValueError, TypeCheckError), match="channel"):
            ImageLoss(channel="depth")  # pyright: ignore[reportArgumentType]
        loss = ImageLoss(renderer=renderer)
        with pytest.raises(ValueError, match="predicted holds 1 shapes and target 2"):
            loss(table, Meshes.cat([table, table]))
        with pytest.raises(ValueError, match="views of the rig, 0 to 1"):
            loss(table, table, views=[2])
