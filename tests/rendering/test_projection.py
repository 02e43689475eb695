"""Projected vertices and shaded faces: kernels against PyTorch, what is not drawn, registration."""

import math

import pytest
import torch

from dr_kfs import Cameras, Lighting, Meshes, SoftRenderer, hemisphere_rig, icosphere, normalize
from dr_kfs.datasets import generate
from dr_kfs.rendering._projection_reference import DEGENERATE, FARTHEST
from dr_kfs.rendering._projection_warp import projection_kernels
from dr_kfs.rendering.projection import ProjectedMeshes, project_meshes

LIGHT = Lighting(direction=(0.3, 1.0, 0.5), ambient=0.4, diffuse=0.55)


RIG = hemisphere_rig().to(dtype=torch.float64)


def chair(dtype: torch.dtype = torch.float64) -> Meshes:
    return normalize(generate("chair", 4).to_meshes().to(dtype=dtype))


def random_loss(projected: ProjectedMeshes) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    weights = [torch.randn(x.shape, dtype=x.dtype, generator=generator) for x in (projected.corners, projected.shade)]
    return (projected.corners * weights[0]).sum() + (projected.shade * weights[1]).sum()


def both_ways(
    vertices: torch.Tensor, faces: torch.Tensor, cameras: Cameras
) -> list[tuple[ProjectedMeshes, torch.Tensor]]:
    """What the kernels and what PyTorch make of it, with the gradient of a random loss."""
    found = []
    for kernels in (True, False):
        leaf = vertices.clone().requires_grad_()
        projected = project_meshes(leaf, faces, cameras, lighting=LIGHT, kernels=kernels)
        found.append((projected, torch.autograd.grad(random_loss(projected), leaf)[0]))
    return found


class TestKernels:
    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
    @pytest.mark.parametrize("views", [1, 3, 25])
    def test_equal_pytorch(self, dtype, tolerance, views):
        mesh = chair(dtype)
        cameras = hemisphere_rig().to(dtype=dtype)[list(range(views))]
        (ours, our_gradient), (theirs, their_gradient) = both_ways(mesh.vertices, mesh.faces, cameras)
        torch.testing.assert_close(ours.corners, theirs.corners, rtol=0, atol=tolerance)
        torch.testing.assert_close(ours.shade, theirs.shade, rtol=0, atol=10 * tolerance)
        assert torch.equal(ours.faces, theirs.faces)
        assert (our_gradient - their_gradient).norm() < 10 * tolerance * their_gradient.norm()

    @pytest.mark.parametrize("vertices", [3, 7, 8, 9, 16, 4095, 4096, 4097])
    def test_any_number_of_vertices(self, vertices):
        """Kernels in lanes take eight at a time, in tasks of 4,096, and write one more than there are."""
        points = torch.rand(vertices, 3, generator=torch.Generator().manual_seed(vertices)) - 0.5
        faces = (torch.arange(vertices + 2)[:, None] + torch.arange(3)) % vertices
        (ours, our_gradient), (theirs, their_gradient) = both_ways(points, faces, hemisphere_rig()[[0, 5, 9]])
        torch.testing.assert_close(ours.corners, theirs.corners, rtol=0, atol=1e-5)
        assert torch.equal(ours.faces, theirs.faces)
        torch.testing.assert_close(ours.shade, theirs.shade, rtol=0, atol=1e-4)
        errors = (our_gradient - their_gradient).norm(dim=1) / their_gradient.norm(dim=1)
        assert errors.quantile(0.99) < 1e-3  # faces seen edge-on, or that the light grazes, have one side or the other

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    @pytest.mark.parametrize("part", ["corners", "shade"])
    def test_each_output_has_its_own_gradient(self, part, dtype):
        mesh, cameras = chair(dtype), hemisphere_rig().to(dtype=dtype)[[1, 9]]
        gradients = []
        for kernels in (True, False):
            leaf = mesh.vertices.clone().requires_grad_()
            output = getattr(project_meshes(leaf, mesh.faces, cameras, lighting=LIGHT, kernels=kernels), part)
            gradients.append(torch.autograd.grad(output.square().sum(), leaf)[0])
        if dtype == torch.float64:
            torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
        else:
            torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4 * float(gradients[1].abs().max()))

    def test_gradcheck(self):
        mesh, cameras = (
            normalize(icosphere(0).to(dtype=torch.float64)),
            hemisphere_rig().to(dtype=torch.float64)[[2, 13]],
        )

        def outputs(vertices):
            projected = project_meshes(vertices, mesh.faces, cameras, lighting=LIGHT)
            return projected.corners, projected.shade

        assert torch.autograd.gradcheck(outputs, (mesh.vertices.clone().requires_grad_(),))

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    def test_behind_the_eye_nothing_is_infinite(self, dtype):
        vertices = torch.tensor([[0.0, 0.0, 5.0], [0.1, 0.3, 2.732], [0.2, 0.0, 0.0]], dtype=dtype)
        cameras = hemisphere_rig().to(dtype=dtype)[[0]]
        (ours, our_gradient), (theirs, their_gradient) = both_ways(vertices, torch.tensor([[0, 1, 2]]), cameras)
        assert ours.corners[0, 0, 2] < 0
        torch.testing.assert_close(ours.corners, theirs.corners)
        torch.testing.assert_close(our_gradient, their_gradient)

    def test_same_bits_on_any_number_of_threads(self):
        mesh = normalize(icosphere(5))  # several tasks
        before, results = torch.get_num_threads(), []
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                projected, gradient = both_ways(mesh.vertices, mesh.faces, hemisphere_rig()[[0, 5, 9]])[0]
                results.append([projected.corners, projected.shade, gradient])
        finally:
            torch.set_num_threads(before)
        for one, two in zip(*results, strict=True):
            assert torch.equal(one, two)


class TestWhatIsNotDrawn:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    def test_lines_points_and_what_is_far_away(self, dtype):
        vertices = torch.tensor(
            [[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0], [2 * FARTHEST, 0, 0], [0, 0.3 * DEGENERATE, 0]],
            dtype=dtype,
        )
        faces = torch.tensor([[0, 1, 2], [0, 1, 3], [0, 0, 0], [0, 1, 4], [0, 1, 5]])
        for projected, gradient in both_ways(vertices, faces, hemisphere_rig().to(dtype=dtype)[[3]]):
            assert projected.faces.tolist() == [[0, 1, 2], *[[6, 6, 6]] * 4]
            assert not projected.corners[:, 6].any()
            assert not gradient[4].any()

    def test_a_face_of_a_vertex_that_is_not_there(self):
        mesh = normalize(icosphere(0))
        with pytest.raises(IndexError, match="there are 12"):
            project_meshes(mesh.vertices, mesh.faces + 1, hemisphere_rig(), lighting=LIGHT)

    @pytest.mark.parametrize(("vertices", "faces", "views"), [(0, 0, 2), (3, 0, 2), (3, 1, 0)])
    def test_nothing_to_do(self, vertices, faces, views):
        corners, face = torch.rand(vertices, 3), torch.arange(3).expand(faces, 3)
        for projected, gradient in both_ways(corners, face, hemisphere_rig()[list(range(views))]):
            assert projected.corners.shape == (views, vertices + 1, 3)
            assert projected.shade.shape == (views, faces, 1)
            assert gradient.shape == (vertices, 3)
            assert gradient.isfinite().all()


class TestChoice:
    def test_cameras_that_learn_have_a_gradient(self):
        mesh, rig = chair(torch.float32), hemisphere_rig()[[4]]
        translation = rig.translation.clone().requires_grad_()
        cameras = Cameras(rotation=rig.rotation, translation=translation)
        views = SoftRenderer(image_size=32)(mesh, cameras)
        (gradient,) = torch.autograd.grad(views.images.square().sum(), translation)
        assert gradient.norm() > 0

    def test_smooth_shading_is_pytorchs(self):
        mesh = chair()
        cameras = hemisphere_rig().to(dtype=torch.float64)[[1]]
        smooth = project_meshes(mesh.vertices, mesh.faces, cameras, lighting=LIGHT, shading="smooth")
        assert smooth.shade.shape == (1, len(mesh.faces), 3)

    def test_a_light_with_a_formula_of_its_own_is_asked(self):
        class Bright(Lighting):
            def shade(self, cosine):
                return torch.ones_like(cosine)

        mesh, cameras = chair(), hemisphere_rig().to(dtype=torch.float64)[[1]]
        assert (project_meshes(mesh.vertices, mesh.faces, cameras, lighting=Bright()).shade == 1).all()

    def test_cameras_with_a_formula_of_their_own_are_asked(self):
        class Flat(Cameras):
            def project(self, points):
                return points.expand(len(self), -1, -1)

        mesh, rig = chair(), hemisphere_rig().to(dtype=torch.float64)[[1]]
        cameras = Flat(rotation=rig.rotation, translation=rig.translation)
        projected = project_meshes(mesh.vertices, mesh.faces, cameras, lighting=LIGHT)
        assert torch.equal(projected.corners[0, :-1], mesh.vertices)

    def test_a_light_that_learns_has_a_gradient(self):
        ambient = torch.tensor(0.5, requires_grad=True)
        lighting = Lighting()
        object.__setattr__(lighting, "ambient", ambient)  # past the type checks of these tests, which users do not have
        shade = project_meshes(chair().vertices, chair().faces, RIG, lighting=lighting).shade
        assert torch.autograd.grad(shade.sum(), ambient)[0] > 0

    @pytest.mark.parametrize("dtypes", [(torch.float32, torch.float64), (torch.float16, torch.float16)])
    def test_mixed_dtypes_are_an_error(self, dtypes):
        mesh, cameras = chair(dtypes[0]), hemisphere_rig().to(dtype=dtypes[1])
        with pytest.raises(ValueError, match="one dtype, float32 or float64"):
            project_meshes(mesh.vertices.to(dtypes[0]), mesh.faces, cameras, lighting=LIGHT)

    def test_double_backward_is_an_error(self):
        leaf = chair().vertices.clone().requires_grad_()
        cameras = hemisphere_rig().to(dtype=torch.float64)[[1]]
        projected = project_meshes(leaf, chair().faces, cameras, lighting=LIGHT)
        (gradient,) = torch.autograd.grad(random_loss(projected), leaf, create_graph=True)
        with pytest.raises(RuntimeError, match="project_meshes is differentiable once"):
            gradient.sum().backward()


class TestRegistration:
    def test_op(self, opcheck):
        mesh, cameras = normalize(icosphere(0)), hemisphere_rig()[[0, 7]]
        tensors = (
            mesh.vertices.clone().requires_grad_(),
            mesh.faces,
            cameras.rotation,
            cameras.translation,
            cameras.eye,
        )
        settings = ([math.tan(0.2), 0.2], [0.0, 0.8, 0.6], [0.5, 0.5])
        opcheck(torch.ops.dr_kfs.project_and_shade.default, (*tensors, *settings))

    @pytest.mark.parametrize("arch", [80, 90])
    @pytest.mark.parametrize("name", ["project", "shade", "project_backward", "shade_backward", "add_normals"])
    def test_kernels_compile_to_ptx(self, assert_compiles_to_ptx, arch, name):
        assert_compiles_to_ptx(projection_kernels, name, arch)

    @pytest.mark.cuda
    def test_cuda_equals_cpu(self):
        mesh, results = normalize(icosphere(4)), []
        for device in ("cpu", "cuda"):
            leaf = mesh.vertices.to(device).requires_grad_()
            cameras = hemisphere_rig().to(device)
            projected = project_meshes(leaf, mesh.faces.to(device), cameras, lighting=LIGHT)
            loss = projected.corners.square().sum() + projected.shade.square().sum()
            results.append([x.cpu() for x in (projected.corners, projected.shade, *torch.autograd.grad(loss, leaf))])
        for cpu, cuda in zip(*results, strict=True):
            assert (cpu - cuda).norm() < 1e-5 * cpu.norm()
