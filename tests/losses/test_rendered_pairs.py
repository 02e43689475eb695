"""Silhouette IoU, depth and normal maps: values by hand, what each sees, gradients, what they refuse."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from dr_kfs import Meshes, SoftRenderer, VoxelGrid, hemisphere_rig, icosphere, soft_surface
from dr_kfs.losses import (
    DepthLoss,
    ImageLoss,
    NormalMapLoss,
    SilhouetteIoULoss,
    depth_loss,
    normal_map_loss,
    silhouette_iou_loss,
)
from dr_kfs.rendering import Views

LOSSES = {
    "silhouette": SilhouetteIoULoss,
    "depth": DepthLoss,
    "normals": NormalMapLoss,
}
every_loss = pytest.mark.parametrize("kind", LOSSES.values(), ids=LOSSES)


def views(alpha: torch.Tensor, depth: torch.Tensor | None = None) -> Views:
    return Views(alpha, alpha, torch.zeros_like(alpha) if depth is None else depth)


@pytest.fixture(scope="module")
def renderer() -> SoftRenderer:
    return SoftRenderer(cameras=hemisphere_rig()[[1, 24]], image_size=64)


@pytest.fixture(scope="module")
def sphere() -> Meshes:
    sphere = icosphere(2)
    return sphere.with_vertices(0.6 * sphere.vertices)


class TestEveryModule:
    @every_loss
    def test_is_smallest_at_identity_and_descends(self, kind, renderer, sphere) -> None:
        loss = kind(renderer=renderer, normalize="none")
        same = loss(sphere, sphere)
        assert same.item() == pytest.approx(0.0, abs=0.03)  # a soft rim does not wholly overlap with itself
        leaf = (sphere.vertices * torch.tensor([1.2, 0.9, 1.0])).requires_grad_()
        before = loss(sphere.with_vertices(leaf), sphere)
        assert before > same + 1e-3
        (gradient,) = torch.autograd.grad(before, leaf)
        assert gradient.isfinite().all()
        assert loss(sphere.with_vertices(leaf - 0.01 * gradient / gradient.abs().max()), sphere) < before

    @every_loss
    def test_batch_is_a_loop(self, kind, renderer, sphere) -> None:
        both = Meshes.cat([icosphere(1), sphere])
        loss = kind(renderer=renderer, reduction="none")
        torch.testing.assert_close(loss(both, sphere), torch.cat([loss(item, sphere) for item in both]))

    @every_loss
    def test_owns_nothing(self, kind, renderer) -> None:
        assert not list(kind(renderer=renderer).parameters())
        assert not kind(renderer=renderer).state_dict()


class TestSilhouetteIoULoss:
    def test_value_by_hand(self) -> None:
        ours = torch.tensor([[[[1.0, 1.0], [0.5, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]])
        theirs = torch.tensor([[[[1.0, 0.0], [0.5, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]])
        # First view: common 1 + 0.25, union 1 + 1 + 0.75; nothing in the second.
        expected = (1 - 1.25 / 2.75) / 2
        assert silhouette_iou_loss(views(ours), views(theirs)).item() == pytest.approx(expected)

    def test_gradcheck_also_where_nothing_is_seen(self) -> None:
        ours = torch.rand(1, 2, 3, 3, dtype=torch.float64).requires_grad_()
        theirs = views(torch.rand(1, 2, 3, 3, dtype=torch.float64))
        assert torch.autograd.gradcheck(lambda a: silhouette_iou_loss(views(a), theirs), ours)
        nothing = torch.zeros(1, 1, 2, 2, requires_grad=True)
        loss = silhouette_iou_loss(views(nothing), views(torch.zeros(1, 1, 2, 2)))
        (gradient,) = torch.autograd.grad(loss, nothing)
        assert loss.item() == 0.0
        assert torch.equal(gradient, torch.zeros_like(nothing))


class TestDepthLoss:
    def test_value_by_hand(self) -> None:
        ours = views(torch.tensor([[[[1.0, 1.0, 0.5]]]]), torch.tensor([[[[2.0, 2.5, 3.0]]]]))
        theirs = views(torch.tensor([[[[1.0, 0.0, 1.0]]]]), torch.tensor([[[[2.2, 3.3, 2.5]]]]))
        assert depth_loss(ours, theirs).item() == pytest.approx((0.2 + 0.8 + 0.5) / 3)
        assert depth_loss(ours, theirs, pixels="both").item() == pytest.approx(0.2)
        assert depth_loss(views(torch.zeros(1, 1, 2, 2)), theirs_of_zeros(), pixels="both").item() == 0.0

    def test_sees_a_face_that_moves_along_its_normal(self, renderer) -> None:
        # A square that faces the top view and fills its frame: nearer or farther, its picture is the same.
        def square(height: float) -> Meshes:
            corners = torch.tensor([[-2.0, height, -2.0], [2, height, -2], [2, height, 2], [-2, height, 2]])
            return Meshes.from_list([corners], [torch.tensor([[0, 1, 2], [0, 2, 3]])])

        top = SoftRenderer(cameras=renderer.cameras[[1]], image_size=64)
        pair = square(0.1), square(0.0)
        assert DepthLoss(renderer=top, normalize="none")(*pair).item() == pytest.approx(0.1, rel=1e-4)
        for blind in (ImageLoss, SilhouetteIoULoss, NormalMapLoss):
            assert blind(renderer=top, normalize="none")(*pair).item() == pytest.approx(0.0, abs=1e-6)

    def test_bad_input(self, renderer) -> None:
        with pytest.raises((ValueError, TypeCheckError), match="pixels"):
            DepthLoss(renderer=renderer, pixels="some")  # pyright: ignore[reportArgumentType]
        with pytest.raises(ValueError, match="depth_loss needs views of equal shape"):
            depth_loss(theirs_of_zeros(), views(torch.zeros(2, 1, 2, 2)))


class TestNormalMapLoss:
    def test_value_by_hand(self) -> None:
        ours, theirs = torch.zeros(1, 1, 3, 1, 2), torch.zeros(1, 1, 3, 1, 2)
        ours[0, 0, 0, 0, 0], theirs[0, 0, 1, 0, 0] = 1.0, -1.0  # |x - (-y)|_1 = 2, over 3 components of 2 pixels
        assert normal_map_loss(ours, theirs).item() == pytest.approx(2 / 6)

    def test_one_target_for_all_and_other_sizes(self) -> None:
        both, one = torch.rand(2, 1, 3, 4, 4), torch.rand(1, 1, 3, 4, 4)
        torch.testing.assert_close(normal_map_loss(both, one), normal_map_loss(both, one.expand(2, -1, -1, -1, -1)))
        with pytest.raises(ValueError, match="normal_map_loss needs views of equal shape"):
            normal_map_loss(one, both)

    def test_soft_surfaces_are_seen_by_the_others_alone(self, renderer, sphere) -> None:
        values = torch.zeros(6, 6, 6)
        values[2:4, 2:4, 2:4] = 0.9
        soft = soft_surface(VoxelGrid.in_box(values))
        for other in (ImageLoss, SilhouetteIoULoss, DepthLoss):
            assert other(renderer=renderer)(soft, sphere).isfinite()
        with pytest.raises(TypeError, match="no one normal per pixel"):
            NormalMapLoss(renderer=renderer)(soft, sphere)
        with pytest.raises(ValueError, match="no box of its own"):
            DepthLoss(renderer=renderer, normalize="each")(soft, sphere)

    def test_another_renderer_is_refused(self, renderer, sphere) -> None:
        class Other(torch.nn.Module):
            cameras = renderer.cameras

        with pytest.raises((TypeError, TypeCheckError)):
            NormalMapLoss(renderer=Other())(sphere, sphere)


def theirs_of_zeros() -> Views:
    return views(torch.zeros(1, 1, 2, 2))
