"""The laws of DR-KFS: identity, invariances, sensitivity, gradients, batches, chunks, codes, errors."""

import dataclasses

import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_kfs import (
    DRKFSLoss,
    Meshes,
    SoftRenderer,
    VoxelGrid,
    drkfs_distance,
    hemisphere_rig,
    icosphere,
    marching_cubes,
)
from dr_kfs.datasets import generate
from dr_kfs.geometry import bounding_frame

VIEWS = [1, 9, 24]


@pytest.fixture(scope="module")
def loss_fn():
    """The default stages on three of the views: a full step is measured in tests/benchmarks."""
    return DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[VIEWS]), reduction="none")


@pytest.fixture(scope="module")
def chair():
    return generate("chair", 4, style={"legs": "four", "bars": "box", "arms": "none"})


@pytest.fixture(scope="module")
def table():
    return generate("table", 2).to_meshes()


def renumbered(meshes, *, seed=0):
    """The same surface: vertices and faces in another order, faces turned around, a vertex that nothing uses."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(meshes.vertices), generator=generator)
    back = order.argsort()
    faces = back[meshes.faces][torch.randperm(len(meshes.faces), generator=generator)]
    faces = torch.where(torch.rand(len(faces), 1, generator=generator) < 0.5, faces, faces.flip(1))
    vertices = torch.cat([meshes.vertices[order], torch.tensor([[50.0, 50.0, 50.0]])])
    return Meshes.from_list([vertices], [faces])


def with_extra_faces(meshes):
    """Every face twice, and faces that are points and lines."""
    faces = meshes.faces
    points = faces[:20, :1].expand(-1, 3)
    lines = faces[:20][:, [0, 1, 1]]
    return Meshes.from_list([meshes.vertices], [torch.cat([faces, faces, points, lines])])


def split_vertices(meshes):
    """No two faces share a vertex."""
    corners = meshes.vertices[meshes.faces].reshape(-1, 3)
    return Meshes.from_list([corners], [torch.arange(len(corners)).view(-1, 3)])


def subdivided(meshes):
    """The same surface, every face in four."""
    vertices, faces = trimesh.remesh.subdivide(meshes.vertices.numpy(), meshes.faces.numpy())
    return Meshes.from_list([torch.tensor(vertices, dtype=torch.float32)], [torch.tensor(faces)])


class TestIdentity:
    def test_a_shape_and_itself_are_exactly_zero(self, loss_fn, chair):
        assert loss_fn(chair.to_meshes(), chair.to_meshes()).item() == 0.0

    def test_a_shape_and_its_code_are_exactly_zero(self, loss_fn, table):
        assert loss_fn(table, loss_fn.encode(table)).item() == 0.0


class TestInvariance:
    @pytest.mark.parametrize(
        ("change", "share"),
        # Share of the distance to another shape. The first three move sums in float32 only; a finer triangulation
        # may change the value by 1 %.
        [(renumbered, 1e-3), (with_extra_faces, 5e-3), (split_vertices, 1e-3), (subdivided, 1e-2)],
    )
    def test_the_same_surface(self, loss_fn, chair, table, change, share):
        meshes = chair.to_meshes()
        other = loss_fn(table, meshes).item()
        assert other > 0.01
        assert loss_fn(change(meshes), meshes).item() <= share * other

    @pytest.mark.parametrize(("scale", "offset"), [(1000.0, 3.0), (1e-3, -2e-3)])
    def test_units_and_translation(self, loss_fn, chair, table, scale, offset):
        meshes = chair.to_meshes()
        a = loss_fn(table, meshes)
        moved = [shape.with_vertices(shape.vertices * scale + offset) for shape in (table, meshes)]
        torch.testing.assert_close(loss_fn(*moved), a, rtol=1e-3, atol=0)

    def test_batch_equals_loop(self, loss_fn, chair, table):
        meshes = chair.to_meshes()
        sphere = icosphere(2)
        together = loss_fn(Meshes.cat([table, sphere]), Meshes.cat([meshes, meshes]))
        alone = torch.cat([loss_fn(table, meshes), loss_fn(sphere, meshes)])
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)

    def test_one_target_serves_a_batch(self, loss_fn, chair, table):
        meshes = chair.to_meshes()
        batch = Meshes.cat([table, icosphere(2)])
        torch.testing.assert_close(loss_fn(batch, meshes), loss_fn(batch, Meshes.cat([meshes, meshes])))

    def test_symmetric_with_each_own_frame(self, chair, table):
        loss = DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[VIEWS]), normalize="each", reduction="none")
        torch.testing.assert_close(loss(chair.to_meshes(), table), loss(table, chair.to_meshes()))

    @pytest.mark.parametrize("view_chunk", [1, 2])
    def test_value_and_gradient_do_not_depend_on_the_chunk(self, loss_fn, chair, view_chunk):
        code = loss_fn.encode(chair.to_meshes())
        results = []
        for chunk in (3, view_chunk):
            loss = DRKFSLoss(renderer=loss_fn.renderer, reduction="none", view_chunk=chunk)
            sphere = icosphere(2)
            vertices = sphere.vertices.clone().requires_grad_()
            value = loss(sphere.with_vertices(vertices), code)
            value.sum().backward()
            results.append((value.detach(), vertices.grad))
        torch.testing.assert_close(results[1][0], results[0][0], rtol=1e-5, atol=0)
        difference = (results[1][1] - results[0][1]).norm() / results[0][1].norm()
        assert difference < 1e-2  # float32: another batch size is another order of sums in the convolutions

    def test_same_bits_whatever_the_number_of_threads(self, loss_fn, chair, table):
        before = torch.get_num_threads()
        images = []
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                images.append(loss_fn.renderer(chair.to_meshes()).images)
        finally:
            torch.set_num_threads(before)
        assert torch.equal(*images)


class TestSensitivity:
    def test_a_removed_part_costs_more_than_a_stretched_one(self, loss_fn, chair):
        meshes = chair.to_meshes()
        removed = loss_fn(chair.without("leg_0").to_meshes(), meshes)
        stretched = loss_fn(chair.scaled("leg_0", (1.15, 1.0, 1.15)).to_meshes(), meshes)
        assert removed > stretched

    def test_another_family_is_farther_than_an_edit(self, loss_fn, chair):
        meshes = chair.to_meshes()
        assert loss_fn(generate("airplane", 3).to_meshes(), meshes) > loss_fn(
            chair.moved("bar_*", (0.0, 0.03, 0.0)).to_meshes(), meshes
        )


class TestGradient:
    def test_fused_equals_autograd_for_every_reduction(self, loss_fn, chair, table):
        renderer = SoftRenderer(cameras=hemisphere_rig()[[9, 24]])
        target = Meshes.cat([chair.to_meshes(), table]).to(dtype=torch.float64)
        batch = Meshes.cat([icosphere(0), icosphere(1)]).to(dtype=torch.float64)
        code = DRKFSLoss(renderer=renderer).encode(target)
        weights = torch.tensor([2.0, -3.0], dtype=torch.float64)
        gradients = []
        for fused in (True, False):
            loss = DRKFSLoss(renderer=renderer, reduction="none", fused=fused)
            vertices = batch.vertices.clone().requires_grad_()
            (loss(batch.with_vertices(vertices), code) * weights).sum().backward()
            gradients.append(vertices.grad)
        torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-12)

    def test_directional_derivative_equals_finite_differences(self, chair):
        """In float64, one view, along random directions; the median of several, since the minimum has kinks."""
        loss = DRKFSLoss(
            renderer=SoftRenderer(cameras=hemisphere_rig()[[9]], sigma=1e-4), normalize="none", detach_weights=False
        )
        sphere = icosphere(2).to(dtype=torch.float64)
        sphere = sphere.with_vertices(sphere.vertices * 0.57)
        code = loss.encode(sphere.with_vertices(sphere.vertices * torch.tensor([1.0, 0.7, 1.2], dtype=torch.float64)))
        vertices = sphere.vertices.clone().requires_grad_()
        loss(sphere.with_vertices(vertices), code).backward()
        errors = []
        for seed in range(5):
            direction = torch.randn(vertices.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            with torch.no_grad():
                plus, minus = (
                    loss(sphere.with_vertices(sphere.vertices + step * direction), code) for step in (1e-8, -1e-8)
                )
            numeric = (plus - minus) / 2e-8
            exact = (vertices.grad * direction).sum()
            errors.append(((numeric - exact).abs() / exact.abs()).item())
        assert sorted(errors)[2] < 1e-3

    def test_gradient_reaches_both_sides(self, loss_fn, chair):
        ours, theirs = icosphere(2), chair.to_meshes()
        a, b = ours.vertices.clone().requires_grad_(), theirs.vertices.clone().requires_grad_()
        loss_fn(ours.with_vertices(a), theirs.with_vertices(b)).sum().backward()
        assert a.grad.abs().sum() > 0
        assert b.grad.abs().sum() > 0

    def test_nothing_is_owned_and_train_mode_changes_nothing(self, loss_fn, chair, table):
        assert list(loss_fn.parameters()) == []
        assert loss_fn.state_dict() == {}
        before = loss_fn(table, chair.to_meshes())
        assert torch.equal(loss_fn.train()(table, chair.to_meshes()), before)

    def test_autocast_keeps_value_and_codes(self, loss_fn, chair, table):
        code = loss_fn.encode(chair.to_meshes())
        plain = loss_fn(table, code)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(loss_fn(table, code), plain)
            assert torch.equal(loss_fn.encode(chair.to_meshes()).descriptors, code.descriptors)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_a_narrower_dtype_of_the_user_changes_nothing(self, loss_fn, chair, table, dtype):
        network = torch.nn.ModuleDict({"loss": DRKFSLoss(renderer=loss_fn.renderer, reduction="none")})
        expected = loss_fn(table, chair.to_meshes())
        assert torch.equal(network.to(dtype)["loss"](table, chair.to_meshes()), expected)
        assert torch.equal(network.float()["loss"](table, chair.to_meshes()), expected)

    def test_what_is_made_in_inference_mode_serves_a_training(self, loss_fn, chair):
        with torch.inference_mode():
            loss = DRKFSLoss(renderer=loss_fn.renderer)
            code = loss.encode(chair.to_meshes())
            assert loss(icosphere(1), code).isfinite()
        vertices = icosphere(1).vertices.clone().requires_grad_()
        loss(icosphere(1).with_vertices(vertices), code).backward()
        assert vertices.grad is not None
        assert vertices.grad.abs().sum() > 0

    def test_the_function_serves_both_modes(self):
        with torch.inference_mode():
            once = drkfs_distance(icosphere(0), icosphere(1), normalize="each")
        assert torch.equal(drkfs_distance(icosphere(0), icosphere(1), normalize="each"), once)

    def test_the_function_does_what_its_loss_does(self, loss_fn, chair):
        stages = {"renderer": loss_fn.renderer, "descriptor": loss_fn.descriptor}
        each = DRKFSLoss(**stages, normalize="each", reduction="none")
        both = Meshes.cat([icosphere(1), icosphere(0)])
        assert torch.equal(drkfs_distance(both, chair.to_meshes(), loss=each), each(both, chair.to_meshes()))
        with pytest.raises(ValueError, match="A loss has its own normalize"):
            drkfs_distance(both, chair.to_meshes(), loss=each, normalize="target")

    def test_an_injected_stage_with_parameters_gets_its_gradient(self, loss_fn, chair):
        class Scaled(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.gain = torch.nn.Parameter(torch.ones(()))

            def forward(self, images):
                return self.gain * loss_fn.detector(images)

        loss = DRKFSLoss(renderer=loss_fn.renderer, detector=Scaled(), detach_weights=False)
        sphere = icosphere(1)
        loss(sphere.with_vertices(sphere.vertices.clone().requires_grad_()), chair.to_meshes()).backward()
        assert loss.detector.gain.grad is not None


class TestScales:
    def test_the_distance_is_the_sum_over_the_scales(self, loss_fn, chair, table):
        def at(*scales):
            return DRKFSLoss(renderer=loss_fn.renderer, scales=scales, reduction="none")

        together, half, quarter = (at(*scales)(table, chair.to_meshes()) for scales in ((2, 4), (2,), (4,)))
        torch.testing.assert_close(together, half + quarter, rtol=1e-5, atol=0)

    def test_without_scales_patches_span_a_quarter_and_a_half_of_the_view(self, loss_fn):
        assert loss_fn.scales.factors == (2, 4)
        small = DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1]], image_size=128))
        assert small.scales.factors == (1, 2)

    def test_a_comparison_adds_up_and_names_patches_of_the_same_scale(self, loss_fn, chair, table):
        loss = DRKFSLoss(renderer=loss_fn.renderer, scales=(2, 4), reduction="none")
        comparison = loss.compare(table, chair.to_meshes())
        torch.testing.assert_close(comparison.value, loss(table, chair.to_meshes()), rtol=1e-5, atol=0)
        both = comparison.patch_error("predicted").sum((1, 2)) + comparison.patch_error("target").sum((1, 2))
        torch.testing.assert_close(both, comparison.value, rtol=1e-5, atol=0)
        large = comparison.predicted_to_target.match[..., 49:]
        assert large.shape[-1] == 9
        assert ((large >= 49) & (large < 58)).all()

    def test_a_code_serves_only_a_loss_of_its_scales(self, loss_fn, chair, table):
        loss = DRKFSLoss(renderer=loss_fn.renderer, scales=(1, 2))
        code = loss.encode(chair.to_meshes())
        torch.testing.assert_close(loss(table, code), loss(table, chair.to_meshes()))
        with pytest.raises(ValueError, match="scales"):
            loss_fn(table, code)

    def test_fused_gradient_is_the_gradient(self, loss_fn, chair):
        code = DRKFSLoss(renderer=loss_fn.renderer, scales=(2, 4)).encode(chair.to_meshes())
        gradients = []
        for fused in (True, False):
            sphere = icosphere(2)
            vertices = sphere.vertices.clone().requires_grad_()
            DRKFSLoss(renderer=loss_fn.renderer, scales=(2, 4), fused=fused)(
                sphere.with_vertices(vertices), code
            ).backward()
            gradients.append(vertices.grad)
        assert gradients[1].norm() > 0
        assert (gradients[0] - gradients[1]).norm() / gradients[1].norm() < 1e-2  # another order of float32 sums


class TestDegenerateInput:
    @pytest.mark.parametrize("fused", [True, False])
    @settings(max_examples=8)
    @given(seed=st.integers(0, 10**6), kind=st.sampled_from(["flat", "needle", "huge", "tiny", "point"]))
    def test_value_and_gradient_are_finite(self, loss_fn, fused, seed, kind):
        renderer = SoftRenderer(cameras=hemisphere_rig()[[9]])
        stages = {"detector": loss_fn.detector, "descriptor": loss_fn.descriptor}
        loss = DRKFSLoss(renderer=renderer, fused=fused, **stages)
        vertices = torch.randn(12, 3, generator=torch.Generator().manual_seed(seed))
        scale = {
            "flat": torch.tensor([1.0, 0.0, 1.0]),
            "needle": torch.tensor([0.0, 1.0, 0.0]),
            "huge": torch.full((3,), 1e12),
            "tiny": torch.full((3,), 1e-12),
            "point": torch.zeros(3),
        }[kind]
        vertices = (vertices * scale).requires_grad_()
        faces = torch.randint(0, 12, (20, 3), generator=torch.Generator().manual_seed(seed))
        value = loss((vertices, faces), icosphere(1))
        value.backward()
        assert value.isfinite()
        assert vertices.grad.isfinite().all()

    def test_an_empty_prediction_is_finite(self, loss_fn, chair):
        empty = Meshes.from_list([torch.zeros(0, 3)], [torch.zeros(0, 3, dtype=torch.long)], allow_empty=True)
        value = loss_fn(empty, chair.to_meshes())
        assert value.isfinite().all()
        assert value.item() > 0


class TestVolumes:
    def test_a_volume_stands_for_its_surface(self, loss_fn, table):
        grid, code = VoxelGrid.in_box(torch.rand(6, 6, 6)), loss_fn.encode(table)
        expected = loss_fn(marching_cubes(grid), code)
        assert torch.equal(loss_fn(grid, code), expected)
        assert torch.equal(drkfs_distance(grid, code, loss=loss_fn, reduction="none"), expected)

    @pytest.mark.parametrize("fused", [True, False])
    def test_gradient_reaches_the_values_and_an_empty_item_has_none(self, loss_fn, table, fused):
        loss = DRKFSLoss(
            renderer=loss_fn.renderer, detector=loss_fn.detector, descriptor=loss_fn.descriptor, fused=fused
        )
        logits = torch.randn(2, 5, 5, 5)
        logits[1] = -3.0
        logits.requires_grad_()
        value = loss(VoxelGrid.in_box(logits, kind="logit"), table, reduction="none")
        assert (value > 0).all()
        value.sum().backward()
        assert logits.grad.isfinite().all()
        assert logits.grad[0].abs().max() > 0
        assert logits.grad[1].abs().max() == 0

    def test_one_empty_volume(self, loss_fn, table):
        values = torch.zeros(1, 4, 4, 4, requires_grad=True)
        value = loss_fn(VoxelGrid.in_box(values), table)
        value.sum().backward()
        assert value.isfinite().all()
        assert torch.equal(values.grad, torch.zeros_like(values))


class TestShapeCode:
    def test_save_and_load(self, loss_fn, chair, table, tmp_path):
        code = loss_fn.encode(chair.to_meshes())
        code.save(tmp_path / "chair.safetensors")
        loaded = type(code).load(tmp_path / "chair.safetensors")
        assert torch.equal(loss_fn(table, loaded), loss_fn(table, code))

    def test_other_settings_are_refused_by_name(self, loss_fn, chair, table):
        code = loss_fn.encode(chair.to_meshes())
        other = DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[VIEWS], sigma=3e-5))
        with pytest.raises(ValueError, match=r"renderer\.sigma: 1e-05 against 3e-05"):
            other(table, code)

    def test_codes_of_different_frames_say_the_way_out(self, loss_fn, chair, table):
        a, b = loss_fn.encode(table), loss_fn.encode(chair.to_meshes())
        with pytest.raises(ValueError, match=r"loss_fn\.encode\(predicted, frame=target_code\.frame\)"):
            loss_fn(a, b)
        in_frame = loss_fn.encode(table, frame=b.frame)
        torch.testing.assert_close(loss_fn(in_frame, b), loss_fn(table, b))

    def test_cat_and_index(self, loss_fn, chair, table):
        a, b = loss_fn.encode(table), loss_fn.encode(chair.to_meshes())
        both = type(a).cat([a, b])
        assert len(both) == 2
        assert torch.equal(both[1].descriptors, b.descriptors)
        assert torch.equal(both[0].frame.scale, a.frame.scale)

    @pytest.mark.parametrize("content", [b"", b"not a code", b"\x00" * 100])
    def test_a_wrong_file_is_one_clear_error(self, tmp_path, content, loss_fn, table):
        path = tmp_path / "wrong.safetensors"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not a shape code"):
            type(loss_fn.encode(table)).load(path)
        with pytest.raises(FileNotFoundError, match="no shape code"):
            type(loss_fn.encode(table)).load(tmp_path / "missing.safetensors")


class TestCompare:
    def test_adds_up_to_the_loss(self, loss_fn, chair, table):
        meshes = chair.to_meshes()
        comparison = loss_fn.compare(table, meshes)
        torch.testing.assert_close(comparison.value, loss_fn(table, meshes), rtol=1e-5, atol=0)
        both = comparison.patch_error("predicted").sum((1, 2)) + comparison.patch_error("target").sum((1, 2))
        torch.testing.assert_close(both, comparison.value, rtol=1e-5, atol=0)

    def test_shapes_and_pictures(self, loss_fn, chair, table):
        comparison = loss_fn.compare(table, chair.to_meshes())
        assert comparison.predicted.images.shape == (1, 3, 256, 256)
        assert comparison.predicted_to_target.match.shape == (1, 3, 49 + 9)
        assert comparison.worst_views(2).shape == (1, 2)
        assert comparison.to_dict()["drkfs"] == comparison.value.tolist()

    def test_a_removed_leg_is_missing_from_the_prediction(self, loss_fn, chair):
        comparison = loss_fn.compare(chair.without("leg_0", "bar_*").to_meshes(), chair.to_meshes())
        assert comparison.target_to_predicted.per_view.sum() > 0

    def test_one_target_serves_a_batch(self, loss_fn, chair, table):
        batch, meshes = Meshes.cat([table, chair.to_meshes()]), chair.to_meshes()
        for target in (meshes, loss_fn.encode(meshes)):
            torch.testing.assert_close(loss_fn.compare(batch, target).value, loss_fn(batch, target))

    def test_a_code_has_no_pictures(self, loss_fn, chair, table):
        comparison = loss_fn.compare(table, loss_fn.encode(chair.to_meshes()))
        assert comparison.target.images is None


class TestViews:
    def test_all_views_named_equals_all_views(self, loss_fn, chair, table):
        plain = loss_fn(table, chair.to_meshes())
        torch.testing.assert_close(loss_fn(table, chair.to_meshes(), views=[0, 1, 2]), plain, rtol=1e-5, atol=0)

    def test_single_views_average_to_the_whole(self, loss_fn, chair, table):
        plain = loss_fn(table, chair.to_meshes())
        mean = sum(loss_fn(table, chair.to_meshes(), views=[view]) for view in range(3)) / 3
        torch.testing.assert_close(mean, plain, rtol=1e-5, atol=0)


class TestFunction:
    def test_is_the_module(self, loss_fn, chair, table):
        meshes = chair.to_meshes()
        value = drkfs_distance(table, meshes, reduction="none", loss=loss_fn)
        assert torch.equal(value, loss_fn(table, meshes))

    def test_takes_what_users_have(self, loss_fn, chair, table):
        vertices, faces, _ = chair.to_mesh()
        expected = loss_fn(table, chair.to_meshes())
        as_trimesh = trimesh.Trimesh(vertices, faces, process=False)
        as_pair = (torch.tensor(vertices, dtype=torch.float32), torch.tensor(faces))
        for target in (as_trimesh, as_pair, [as_pair]):
            torch.testing.assert_close(loss_fn(table, target), expected)


class TestErrors:
    def test_batches_of_different_sizes(self, loss_fn, table):
        with pytest.raises(ValueError, match="predicted holds 2 shapes and target 3"):
            loss_fn(Meshes.cat([table] * 2), Meshes.cat([table] * 3))

    def test_something_that_is_not_a_shape(self, loss_fn, table):
        with pytest.raises(TypeError):
            loss_fn("chair.obj", table)

    def test_settings(self):
        with pytest.raises(ValueError, match="view_chunk must be positive, got 0"):
            DRKFSLoss(view_chunk=0)

    @pytest.mark.parametrize("views", [[], [3], [-1]])
    def test_views_that_do_not_exist(self, loss_fn, table, views):
        with pytest.raises(ValueError, match="views must name views of the rig, 0 to 2"):
            loss_fn(table, table, views=views)

    def test_meta_device_says_where_the_loss_is(self, loss_fn):
        sphere = icosphere(0)
        moved = dataclasses.replace(sphere, vertices=sphere.vertices.to("meta"), faces=sphere.faces.to("meta"))
        with pytest.raises(ValueError, match=r'on meta, the loss on cpu: call `loss_fn\.to\("meta"\)`'):
            loss_fn._check_device(moved)


class TestDirections:
    def test_the_loss_is_the_weighted_sum_of_recall_and_precision(self, loss_fn, chair, table):
        stages = {"renderer": loss_fn.renderer, "detector": loss_fn.detector, "descriptor": loss_fn.descriptor}
        code = loss_fn.encode(chair.to_meshes())
        weights = ((1.0, 0.0), (0.0, 1.0), (3.0, 0.5))
        losses = [DRKFSLoss(**stages, recall_weight=r, precision_weight=p, reduction="none") for r, p in weights]
        recall, precision, mixed = (loss(table, code) for loss in losses)
        comparison = loss_fn.compare(table, code)
        torch.testing.assert_close(recall, comparison.target_to_predicted.per_view.sum(1), rtol=1e-5, atol=0)
        torch.testing.assert_close(precision, comparison.predicted_to_target.per_view.sum(1), rtol=1e-5, atol=0)
        torch.testing.assert_close(mixed, 3.0 * recall + 0.5 * precision, rtol=1e-5, atol=0)
        torch.testing.assert_close(recall + precision, loss_fn(table, code), rtol=1e-5, atol=0)

        taken_apart = losses[2].compare(table, code)
        torch.testing.assert_close(taken_apart.value, mixed, rtol=1e-5, atol=0)
        both = [taken_apart.patch_error(side).sum((1, 2)) for side in ("predicted", "target")]
        torch.testing.assert_close(sum(both), mixed, rtol=1e-5, atol=0)
        assert taken_apart.settings["recall_weight"] == 3.0

    def test_swapping_the_shapes_swaps_the_directions(self, chair, table, loss_fn):
        stages = {"renderer": loss_fn.renderer, "normalize": "each", "reduction": "none"}
        recall = DRKFSLoss(**stages, precision_weight=0.0)
        precision = DRKFSLoss(**stages, recall_weight=0.0)
        torch.testing.assert_close(recall(table, chair.to_meshes()), precision(chair.to_meshes(), table))

    @pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
    def test_bad_weights(self, weight):
        with pytest.raises(ValueError, match="recall_weight and precision_weight must be at least 0"):
            DRKFSLoss(recall_weight=weight)


class TestBadPredictions:
    def test_an_empty_batch_is_an_error(self, loss_fn, chair):
        with pytest.raises(ValueError, match="predicted holds no shape"):
            loss_fn(icosphere(1)[[]], chair.to_meshes())

    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_names_the_item_and_the_vertex_that_is_not_finite(self, loss_fn, chair, bad):
        sphere = icosphere(1)
        both = Meshes.cat([sphere, sphere])
        vertices = both.vertices.clone()
        vertices[len(sphere.vertices) + 3, 1] = bad
        with pytest.raises(ValueError, match=r"item 1: expected finite vertices, got .* at vertex 3"):
            loss_fn(both.with_vertices(vertices), chair.to_meshes())

    @pytest.mark.parametrize("size", [1e8, 1e20, 1e30])
    def test_huge_vertices_have_a_finite_loss_and_gradient(self, loss_fn, chair, size):
        vertices = icosphere(1).vertices.clone()
        vertices[3] *= size
        vertices.requires_grad_()
        loss = loss_fn(icosphere(1).with_vertices(vertices), chair.to_meshes()).sum()
        loss.backward()
        assert loss.isfinite()
        assert vertices.grad.isfinite().all()
        assert vertices.grad[3].abs().sum() == 0

    @pytest.mark.parametrize("views", [[True, False, True], torch.tensor([0.5]), torch.tensor([True, False, True]), []])
    def test_views_are_numbers(self, loss_fn, chair, views):
        with pytest.raises(ValueError, match="views must name views of the rig, 0 to 2"):
            loss_fn(icosphere(1), chair.to_meshes(), views=views)

    def test_views_may_be_a_tuple_or_a_tensor(self, loss_fn, chair):
        values = [
            loss_fn(icosphere(1), chair.to_meshes(), views=views) for views in ([0, 2], (0, 2), torch.tensor([0, 2]))
        ]
        assert torch.equal(values[0], values[1])
        assert torch.equal(values[0], values[2])


class TestCodesOfBatches:
    def test_are_those_of_a_loop(self, loss_fn, chair, table):
        shapes = [icosphere(1), table, chair.to_meshes()]
        code = loss_fn.encode(Meshes.cat(shapes))
        for item, shape in enumerate(shapes):
            assert torch.equal(code[item].descriptors[0], loss_fn.encode(shape).descriptors[0])
        assert (loss_fn(Meshes.cat(shapes), code) == 0).all()

    def test_one_frame_serves_a_batch(self, loss_fn, chair, table):
        target = loss_fn.encode(chair.to_meshes())
        codes = loss_fn.encode(Meshes.cat([table, icosphere(1)]), frame=target.frame)
        assert len(codes.frame) == 2
        expected = loss_fn(Meshes.cat([table, icosphere(1)]), target)
        torch.testing.assert_close(loss_fn(codes, target), expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(loss_fn(codes[(1,)], target), expected[1:], rtol=1e-5, atol=0)

    def test_a_frame_is_no_silent_number_without_normalization(self, loss_fn, chair):
        loss = DRKFSLoss(renderer=loss_fn.renderer, normalize="none")
        code = loss.encode(chair.to_meshes(), frame=bounding_frame(chair.to_meshes()))
        with pytest.raises(ValueError, match='normalised with a frame, and normalize="none"'):
            loss(chair.to_meshes(), code)
