"""Meshes to views: shading, sizes, degenerate faces, gradients through position, depth and shade."""

import subprocess
import sys

import pytest
import torch
import trimesh

from dr_kfs import Lighting, Meshes, SoftRenderer, hemisphere_rig, icosphere, normalize
from dr_kfs.datasets import generate

FRONT = hemisphere_rig()[[0]]


@pytest.fixture(scope="module")
def chair():
    return normalize(generate("chair", 4).to_meshes())


class TestSoftRenderer:
    def test_batches_of_different_sizes(self, chair):
        sphere = normalize(icosphere(2))
        renderer = SoftRenderer(cameras=hemisphere_rig()[[0, 24]], image_size=64)
        together = renderer(Meshes.cat([chair, sphere]))
        assert together.images.shape == (2, 2, 64, 64)
        for item, mesh in enumerate((chair, sphere)):
            assert torch.equal(together.images[item], renderer(mesh).images[0])
            assert torch.equal(together.depth[item], renderer(mesh).depth[0])

    def test_shade_is_two_sided_and_within_its_range(self, chair):
        chair = chair.to(dtype=torch.float64)  # float32 rounds depth / gamma differently in another order
        flipped = Meshes.from_list([chair.vertices], [chair.faces.flip(1)])
        renderer = SoftRenderer(cameras=hemisphere_rig()[[1, 9]], image_size=64)
        images = renderer(chair).images
        torch.testing.assert_close(renderer(flipped).images, images)
        assert images.max() <= 1.0 + 1e-6
        alpha = renderer(chair).alpha
        assert images[alpha == 1].min() >= 0.5 - 1e-6

    def test_lambert(self):
        """A square that faces the camera: shade = ambient + diffuse * cos."""
        square = Meshes.from_list(
            [torch.tensor([[-0.2, -0.2, 0.0], [0.2, -0.2, 0.0], [0.2, 0.2, 0.0], [-0.2, 0.2, 0.0]])],
            [torch.tensor([[0, 1, 2], [0, 2, 3]])],
        )
        lights = {(0.0, 0.0, 1.0): 1.0, (0.0, 1.0, 1.0): 0.5 + 0.5 * 0.5**0.5, (0.0, 0.0, -1.0): 0.5}
        for direction, expected in lights.items():
            renderer = SoftRenderer(cameras=FRONT, image_size=32, lighting=Lighting(direction=direction))
            assert renderer(square).images[0, 0, 16, 16] == pytest.approx(expected, abs=1e-5)

    def test_smooth_shading_varies_inside_a_face_and_flat_does_not(self):
        sphere = normalize(icosphere(1))
        flat, smooth = (
            SoftRenderer(cameras=FRONT, image_size=128, shading=shading)(sphere).images.unique().numel()
            for shading in ("flat", "smooth")
        )
        assert smooth > 5 * flat or flat < 0.5 * smooth

    def test_degenerate_faces_are_not_drawn(self, chair):
        corner = chair.faces[:5, :1]
        other = chair.faces[100:105, :1]
        extra = torch.cat([chair.faces, corner.expand(-1, 3), torch.cat([corner, other, other], 1)])
        renderer = SoftRenderer(cameras=FRONT, image_size=64)
        assert torch.equal(renderer(Meshes.from_list([chair.vertices], [extra])).images, renderer(chair).images)

    def test_empty_mesh_is_background(self):
        empty = Meshes.from_list([torch.zeros(0, 3)], [torch.zeros(0, 3, dtype=torch.long)], allow_empty=True)
        views = SoftRenderer(cameras=FRONT, image_size=32)(empty)
        assert views.images.sum() == 0
        assert views.alpha.sum() == 0

    @pytest.mark.parametrize("shading", ["flat", "smooth"])
    def test_kernel_gradient_equals_the_reference_in_float64(self, shading):
        """Position, depth and shading together, down to the vertices."""
        mesh = normalize(icosphere(1)).to(dtype=torch.float64)
        mesh = mesh.with_vertices(mesh.vertices + 0.02 * torch.randn_like(mesh.vertices))
        target = torch.rand(1, 2, 24, 24, dtype=torch.float64)
        gradients = []
        for backend in ("warp", "reference"):
            renderer = SoftRenderer(
                cameras=hemisphere_rig()[[0, 10]], image_size=24, sigma=1e-3, shading=shading, backend=backend
            )
            vertices = mesh.vertices.clone().requires_grad_()
            views = renderer(mesh.with_vertices(vertices))
            ((views.images - target).square().sum() + views.depth.sum() + views.alpha.sum()).backward()
            gradients.append(vertices.grad)
        torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-9)

    def test_gradient_equals_finite_differences_of_the_reference(self):
        mesh = normalize(icosphere(1)).to(dtype=torch.float64)
        base = mesh.vertices + 0.02 * torch.randn_like(mesh.vertices)
        renderer = SoftRenderer(cameras=FRONT, image_size=24, sigma=1e-3)
        oracle = SoftRenderer(cameras=FRONT, image_size=24, sigma=1e-3, backend="reference")
        target = torch.rand(1, 1, 24, 24, dtype=torch.float64)

        def value(chosen, vertices):
            views = chosen(mesh.with_vertices(vertices))
            return (views.images - target).square().sum() + 0.1 * views.depth.sum()

        vertices = base.clone().requires_grad_()
        value(renderer, vertices).backward()
        for seed in range(3):
            direction = torch.randn(base.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            numeric = (value(oracle, base + 1e-7 * direction) - value(oracle, base - 1e-7 * direction)) / 2e-7
            torch.testing.assert_close((vertices.grad * direction).sum(), numeric, rtol=1e-4, atol=1e-6)

    def test_runs_in_float32_under_autocast(self, chair):
        renderer = SoftRenderer(cameras=FRONT, image_size=64)
        plain = renderer(chair).images
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = renderer(chair).images
        assert mixed.dtype == torch.float32
        assert torch.equal(mixed, plain)

    def test_compiles_without_a_break(self):
        """In an interpreter of its own: the tests' type checks are no part of the library."""
        code = """
import torch
from dr_kfs import SoftRenderer, hemisphere_rig, icosphere, normalize

sphere = normalize(icosphere(1))
renderer = SoftRenderer(cameras=hemisphere_rig()[[1, 10]], image_size=32)
results = []
for render in (renderer, torch.compile(renderer, fullgraph=True, backend="aot_eager")):
    vertices = sphere.vertices.clone().requires_grad_()
    images = render(sphere.with_vertices(vertices)).images
    results.append((images.detach(), torch.autograd.grad(images.square().sum(), vertices)[0]))
for plain, fast in zip(*results, strict=True):
    torch.testing.assert_close(fast, plain)
print("equal")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "equal\n", done.stderr

    @pytest.mark.parametrize("kind", ["translation", "scale"])
    def test_image_loss_recovers_a_motion(self, chair, kind):
        """Silhouettes move both ways under the image loss alone."""
        renderer = SoftRenderer(cameras=hemisphere_rig()[[1, 10, 24]], image_size=96, sigma=1e-4)
        target = renderer(chair).images
        truth = torch.zeros(3) if kind == "translation" else torch.ones(1)
        parameter = (truth + (torch.tensor([0.06, -0.04, 0.05]) if kind == "translation" else -0.15)).requires_grad_()
        optimizer = torch.optim.Adam([parameter], lr=0.01)
        for _ in range(40):
            moved = chair.vertices + parameter if kind == "translation" else chair.vertices * parameter
            loss = (renderer(chair.with_vertices(moved)).images - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.testing.assert_close(parameter.detach(), truth, atol=0.01, rtol=0)


def test_a_rig_that_was_moved_in_inference_mode_serves_a_training(chair):
    renderer = SoftRenderer(image_size=32)  # in float64, or on a GPU, the rig is kept as it is used
    vertices = chair.vertices.double().requires_grad_()
    with torch.inference_mode():
        renderer(chair.to(dtype=torch.float64))
    renderer(chair.with_vertices(vertices)).images.sum().backward()
    assert vertices.grad.abs().sum() > 0


def test_a_rig_that_is_changed_in_place_is_used_as_it_is(chair):
    meshes = chair.to(dtype=torch.float64)
    renderer = SoftRenderer(cameras=hemisphere_rig()[[0, 9]], image_size=32)
    before = renderer(meshes).images
    renderer.cameras.translation[:, 2] += 1.0
    expected = SoftRenderer(cameras=renderer.cameras, image_size=32)(meshes).images
    after = renderer(meshes).images
    assert torch.equal(after, expected)
    assert (after - before).abs().max() > 0.1


class TestFaceOpacity:
    def test_from_nothing_to_nearly_the_opaque_image(self, chair):
        renderer = SoftRenderer(cameras=FRONT, image_size=64)
        opaque = renderer(chair).images
        ones = torch.ones(len(chair.faces))
        assert renderer(chair, face_opacity=0 * ones).alpha.sum() == 0
        # Outlines fade a little farther out; inside the images agree.
        difference = (renderer(chair, face_opacity=ones).images - opaque).abs()
        assert difference.mean() < 0.1 * opaque.mean()
        assert difference.median() < 1e-3

    def test_batch_equals_loop(self, chair):
        sphere = normalize(icosphere(1))
        renderer = SoftRenderer(cameras=hemisphere_rig()[[0, 24]], image_size=32)
        opacities = [torch.rand(len(mesh.faces)) for mesh in (chair, sphere)]
        together = renderer(Meshes.cat([chair, sphere]), face_opacity=torch.cat(opacities))
        for item, mesh in enumerate((chair, sphere)):
            assert torch.equal(together.images[item], renderer(mesh, face_opacity=opacities[item]).images[0])

    def test_gradient_equals_the_reference_in_float64(self):
        mesh = normalize(icosphere(1)).to(dtype=torch.float64)
        mesh = mesh.with_vertices(mesh.vertices + 0.02 * torch.randn_like(mesh.vertices))
        gradients = []
        for backend in ("warp", "reference"):
            renderer = SoftRenderer(cameras=hemisphere_rig()[[0, 10]], image_size=16, sigma=1e-3, backend=backend)
            vertices = mesh.vertices.clone().requires_grad_()
            opacity = torch.linspace(0.05, 0.95, len(mesh.faces), dtype=torch.float64).requires_grad_()
            views = renderer(mesh.with_vertices(vertices), face_opacity=opacity)
            (views.images.square().sum() + views.depth.sum() + views.alpha.sum()).backward()
            gradients.append((vertices.grad, opacity.grad))
        for kernel, reference in zip(*gradients, strict=True):
            torch.testing.assert_close(kernel, reference, rtol=1e-7, atol=1e-9)

    def test_a_face_in_front_gets_gradient_and_a_hidden_one_does_not(self):
        """What makes parts grow: the opacity of a face that is not there yet has a gradient where it would be seen."""
        square = torch.tensor([[-0.2, -0.2, 0.0], [0.2, -0.2, 0.0], [0.2, 0.2, 0.0], [-0.2, 0.2, 0.0]])
        shifts = [torch.tensor([0.0, 0.0, z]) for z in (0.0, 0.1, -0.1)]  # a wall, before it, behind it
        faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
        mesh = Meshes.from_list(
            [torch.cat([square + shift for shift in shifts])], [torch.cat([faces + 4 * i for i in range(3)])]
        )
        opacity = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]).requires_grad_()
        light = Lighting(direction=(0.0, 1.0, 0.0))
        depth = SoftRenderer(cameras=FRONT, image_size=32, lighting=light)(mesh, face_opacity=opacity).depth
        depth.sum().backward()
        assert (opacity.grad[2:4] < -1).all()  # nearer
        assert opacity.grad[4:].abs().max() < 0.01

    @pytest.mark.parametrize(
        ("settings", "count", "message"),
        [
            ({}, 3, "face_opacity has 3 entries, the meshes have 20 faces"),
            ({"coverage": "softras"}, 20, "do not go"),
        ],
    )
    def test_errors(self, settings, count, message):
        with pytest.raises(ValueError, match=message):
            SoftRenderer(cameras=FRONT, image_size=32, **settings)(icosphere(0), face_opacity=torch.ones(count))


class TestSoftRasCoverage:
    def test_depends_on_the_triangulation_and_ours_does_not(self, chair):
        """The defect that DR-KFS cannot have: the same surface, every face in four."""
        vertices, faces = trimesh.remesh.subdivide(chair.vertices.double().numpy(), chair.faces.numpy())
        fine = Meshes.from_list([torch.tensor(vertices, dtype=torch.float32)], [torch.tensor(faces)])
        changes = {}
        for coverage in ("surface", "softras"):
            renderer = SoftRenderer(cameras=FRONT, image_size=64, sigma=1e-4, coverage=coverage)
            changes[coverage] = (renderer(fine).alpha - renderer(chair).alpha).abs().mean().item()
        assert changes["softras"] > 100 * changes["surface"]

    def test_its_gamma(self, chair):
        """The published one by default, and another one blends deeper."""

        def image(**settings):
            return SoftRenderer(cameras=FRONT, image_size=32, sigma=1e-3, coverage="softras", **settings)(chair).images

        assert SoftRenderer(coverage="softras").settings()["gamma"] == 1e-4
        assert torch.equal(image(), image(gamma=1e-4))
        assert (image(gamma=1e-2) - image()).abs().max() > 0.01


class TestLighting:
    @pytest.mark.parametrize("bad", [{"ambient": 0.8}, {"diffuse": -0.1}, {"direction": (0.0, 0.0, 0.0)}])
    def test_impossible_light_is_refused(self, bad):
        with pytest.raises(ValueError, match="Lighting needs"):
            Lighting(**bad)


def test_settings_follow_the_rig():
    renderer = SoftRenderer(image_size=32)
    first = renderer.settings()["cameras"]
    assert renderer.settings()["cameras"] == first == hemisphere_rig().settings()
    renderer.cameras.translation[0, 0] += 0.5
    renderer.cameras.rotation.data[1] = renderer.cameras.rotation[2]  # which torch does not count as a change
    moved = renderer.settings()["cameras"]
    assert moved == renderer.cameras.settings() != first
    renderer.cameras = hemisphere_rig()[[3]]
    assert renderer.settings()["cameras"] == hemisphere_rig()[[3]].settings()


def test_settings_are_the_callers_own():
    renderer = SoftRenderer(image_size=32)
    first = renderer.settings()["cameras"]
    first["fov"] = 40.0
    first["eyes"][0][0] = 7.0
    assert renderer.settings()["cameras"] == hemisphere_rig().settings()
