"""How a step is cut up: the plan, its limits, what may not change, and the views drawn per step."""

import pytest
import torch

from dr_kfs import (
    DRKFSLoss,
    Meshes,
    SoftRenderer,
    SoftSurface,
    VoxelGrid,
    drkfs_distance,
    hemisphere_rig,
    icosphere,
    soft_surface,
)
from dr_kfs.descriptors import BackboneDescriptor
from dr_kfs.step_plan import plan_step

STEP = {"batch": 4, "view_count": 25, "image_size": 256, "patches": 225, "faces": 5000}
CUDA, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(scope="module")
def small_loss():
    """Four small views, one patch each."""
    return DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1, 9, 17, 24]], image_size=32), reduction="none")


@pytest.fixture(scope="module")
def shapes():
    sphere = icosphere(1)
    stretched = [sphere.with_vertices(sphere.vertices * torch.tensor(s)) for s in ((1.0, 0.5, 1.0), (0.4, 1.0, 0.7))]
    return Meshes.cat(stretched), sphere


class TestPlan:
    def test_memory_depends_on_neither_views_nor_batch(self):
        plans = [
            plan_step(**{**STEP, "view_count": views, "batch": batch}, device=CPU)
            for views in (25, 50, 100)
            for batch in (1, 4, 16)
        ]
        assert len({plan.memory for plan in plans}) == 1

    def test_less_memory_makes_smaller_chunks_on_a_gpu(self):
        plans = [plan_step(**STEP, device=CUDA, max_memory=budget) for budget in (5e8, 2e9, 8e9, 1e11)]
        assert [plan.views for plan in plans] == sorted(plan.views for plan in plans)
        assert plans[-1].shapes == 4
        assert plans[-1].views == 25
        assert all(plan.memory <= budget for plan, budget in zip(plans, (5e8, 2e9, 8e9, 1e11), strict=True))

    def test_the_limit_holds_on_a_cpu(self):
        assert plan_step(**STEP, device=CPU, max_memory=2.5e8).memory <= 2.5e8

    def test_too_little_says_how_much_is_needed(self):
        with pytest.raises(ValueError, match=r"takes about \d+ MB, more than max_memory = 1 MB"):
            plan_step(**STEP, device=CPU, max_memory=1e6)

    def test_a_chunk_that_was_asked_for_is_not_made_smaller_in_silence(self):
        assert plan_step(**STEP, device=CPU, view_chunk=2, max_memory=1e10).views == 2
        with pytest.raises(ValueError, match=r"view_chunk=5 takes about \d+ MB, more than max_memory = 300 MB"):
            plan_step(**STEP, device=CPU, view_chunk=5, max_memory=3e8)

    def test_the_loss_asks_before_it_runs(self, small_loss, shapes):
        loss = DRKFSLoss(renderer=small_loss.renderer, max_memory=1e4)
        with pytest.raises(ValueError, match="more than max_memory"):
            loss(*shapes)
        assert small_loss.step_plan(shapes[0]).views >= 1


class TestChunks:
    @pytest.mark.parametrize("fused", [True, False])
    def test_of_shapes_and_views_change_nothing(self, small_loss, shapes, fused, monkeypatch):
        """One shape and one view at a time, or everything at once: the same values and gradients."""
        import dr_kfs.drkfs
        from dr_kfs.step_plan import StepPlan

        results = []
        for plan in (StepPlan(1, 1, 1, 0.0), StepPlan(1, 3, 2, 0.0), StepPlan(2, 4, 4, 0.0)):
            monkeypatch.setattr(dr_kfs.drkfs, "plan_step", lambda chosen=plan, **_: chosen)
            loss = DRKFSLoss(renderer=small_loss.renderer, reduction="none", fused=fused)
            batch = shapes[0].to(dtype=torch.float64)
            vertices = batch.vertices.clone().requires_grad_()
            values = loss(batch.with_vertices(vertices), shapes[1].to(dtype=torch.float64))
            (values * torch.tensor([2.0, -1.0])).sum().backward()
            results.append((values.detach(), vertices.grad))
        for values, gradient in results[1:]:
            torch.testing.assert_close(values, results[0][0], rtol=1e-9, atol=0)
            torch.testing.assert_close(gradient, results[0][1], rtol=1e-6, atol=1e-12)

    def test_gradient_of_both_sides_equals_autograd(self, small_loss, shapes):
        gradients = []
        for fused in (True, False):
            loss = DRKFSLoss(renderer=small_loss.renderer, reduction="sum", fused=fused)
            ours = shapes[0].to(dtype=torch.float64)
            theirs = Meshes.cat([shapes[1], shapes[1]]).to(dtype=torch.float64)
            a, b = ours.vertices.clone().requires_grad_(), theirs.vertices.clone().requires_grad_()
            loss(ours.with_vertices(a), theirs.with_vertices(b)).backward()
            gradients.append((a.grad, b.grad))
        for fused, plain in zip(*gradients, strict=True):
            torch.testing.assert_close(fused, plain, rtol=1e-6, atol=1e-12)

    @pytest.mark.parametrize("shapes_at_once", [1, 2])
    def test_opacities_of_soft_surfaces_get_their_gradient(self, small_loss, shapes, shapes_at_once, monkeypatch):
        import dr_kfs.drkfs
        from dr_kfs.step_plan import StepPlan

        monkeypatch.setattr(dr_kfs.drkfs, "plan_step", lambda **_: StepPlan(shapes_at_once, 3, 2, 0.0))
        start = 0.1 + 0.8 * torch.rand(2, 3, 3, 3, dtype=torch.float64)
        results = []
        for fused in (True, False):
            loss = DRKFSLoss(renderer=small_loss.renderer, normalize="none", reduction="none", fused=fused)
            surface = soft_surface(VoxelGrid.in_box(start))
            vertices, opacity = (x.clone().requires_grad_() for x in (surface.meshes.vertices, surface.face_opacity))
            predicted = SoftSurface(surface.meshes.with_vertices(vertices), opacity)
            values = loss(predicted, shapes[1].to(dtype=torch.float64))
            (values * torch.tensor([2.0, -1.0])).sum().backward()
            results.append((values.detach(), vertices.grad, opacity.grad))
            assert opacity.grad[: surface.meshes.face_offsets[1]].abs().max() > 0
            assert opacity.grad[surface.meshes.face_offsets[1] :].abs().max() > 0
        for fused, plain in zip(*results, strict=True):
            torch.testing.assert_close(fused, plain, rtol=1e-6, atol=1e-12)

    def test_soft_surfaces_are_predicted_shapes_only(self, small_loss, shapes):
        surface = soft_surface(VoxelGrid.in_box(torch.full((1, 2, 2, 2), 0.5)))
        assert small_loss(surface, shapes[1]).isfinite().all()
        assert small_loss.step_plan(surface).views >= 1
        assert drkfs_distance(surface, shapes[1], loss=small_loss).isfinite().all()
        assert small_loss.compare(surface, shapes[1]).per_view.isfinite().all()
        with pytest.raises(TypeError, match="no target"):
            small_loss(shapes[1], surface)
        with pytest.raises(TypeError, match="no target"):
            small_loss.encode(surface)
        each = DRKFSLoss(renderer=small_loss.renderer, normalize="each")
        with pytest.raises(ValueError, match="no box of its own"):
            each(surface, shapes[1])


class TestViewsPerStep:
    def test_is_unbiased(self, small_loss, shapes):
        """Each draw is V / k times the sum over its views; over all single views that averages to the whole."""
        loss = DRKFSLoss(renderer=small_loss.renderer, reduction="none", views_per_step=1)
        whole = small_loss(*shapes)
        alone = torch.stack([small_loss(*shapes, views=[view]) for view in range(4)])
        torch.testing.assert_close(alone.mean(0), whole)
        drawn = torch.stack([loss(*shapes) for _ in range(40)])
        distance = (drawn[:, None] - alone).abs().amax(-1)
        assert distance.amin(1).max() < 1e-6
        assert len(set(distance.argmin(1).tolist())) == 4  # every view is drawn sooner or later

    def test_the_seed_and_the_count_decide(self, small_loss, shapes):
        def values(**settings):
            loss = DRKFSLoss(renderer=small_loss.renderer, views_per_step=2, **settings)
            return [loss(*shapes).item() for _ in range(6)]

        assert values(seed=3) == values(seed=3)
        assert values(seed=3) != values(seed=4)
        resumed = DRKFSLoss(renderer=small_loss.renderer, views_per_step=2, seed=3)
        resumed.steps_taken = 4
        assert resumed(*shapes).item() == values(seed=3)[4]

    def test_evaluation_uses_all(self, small_loss, shapes):
        loss = DRKFSLoss(renderer=small_loss.renderer, reduction="none", views_per_step=1).eval()
        assert torch.equal(loss(*shapes), small_loss(*shapes))

    @pytest.mark.parametrize("count", [0, 5])
    def test_impossible_counts(self, small_loss, count):
        with pytest.raises(ValueError, match=r"views_per_step must be in 1\.\.4"):
            DRKFSLoss(renderer=small_loss.renderer, views_per_step=count)


class TestViewDescriptor:
    def test_keeps_the_laws(self, small_loss, shapes):
        """A network on whole views instead of patches: identity, codes, and the fused gradient."""
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8, stride=8), torch.nn.Tanh())
        descriptor = BackboneDescriptor(network)
        batch, sphere = (shape.to(dtype=torch.float64) for shape in shapes)
        gradients = []
        for fused in (True, False):
            loss = DRKFSLoss(renderer=small_loss.renderer, descriptor=descriptor, reduction="none", fused=fused)
            vertices = batch.vertices.clone().requires_grad_()
            values = loss(batch.with_vertices(vertices), sphere)
            values.sum().backward()
            gradients.append(vertices.grad)
        assert values.min() > 0
        torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-12)
        assert loss(sphere, sphere).abs().max() < 1e-15
        torch.testing.assert_close(loss(batch, loss.encode(sphere)), values.detach(), rtol=1e-9, atol=0)

    def test_hardnet_by_name_is_never_replaced(self, monkeypatch, tmp_path):
        monkeypatch.setenv("DR_KFS_CACHE", str(tmp_path))
        with pytest.raises(ValueError, match='"hardnet-liberty" are not in the cache'):
            DRKFSLoss(descriptor="hardnet-liberty")
