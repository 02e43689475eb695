from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dr_kfs.geometry import Meshes, sample_surface

# Areas 1/2, 0 (a repeated corner), 3/2, 0 (corners on a line).
VERTICES = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 3], [2, 0, 0]])
FACES = torch.tensor([[0, 1, 2], [0, 0, 1], [0, 3, 1], [0, 1, 4]])


def batch() -> Meshes:
    return Meshes.from_list([VERTICES, VERTICES + 5], [FACES[2:3], FACES])


class TestSampleSurface:
    def test_smoke(self) -> None:
        samples = sample_surface(batch(), 7)
        for tensor in (samples.points, samples.normals, samples.barycentric):
            assert tensor.shape == (2, 7, 3)
        assert samples.faces.shape == (2, 7)
        assert samples.faces.dtype == torch.int64

    def test_points_are_what_the_weights_say(self) -> None:
        meshes = batch()
        samples = sample_surface(meshes, 100, seed=0)
        corners = meshes.face_vertices()[samples.faces]
        assert torch.allclose((samples.barycentric[..., None] * corners).sum(2), samples.points)
        assert torch.allclose(samples.barycentric.sum(-1), torch.ones(2, 100))
        assert (samples.barycentric >= 0).all()
        assert (samples.faces[0] == 0).all()
        assert (samples.faces[1] >= 1).all()

    def test_uniform(self) -> None:
        meshes = Meshes.from_list([VERTICES], [FACES])
        samples = sample_surface(meshes, 20_000, seed=0)
        shares = samples.faces[0].bincount(minlength=4) / 20_000
        # 5 standard deviations of a share: 5 sqrt(p (1 - p) / 20000) = 0.015
        assert torch.allclose(shares, torch.tensor([0.25, 0, 0.75, 0]), atol=0.015)
        on_large = samples.points[0, samples.faces[0] == 2]
        # The mean of a triangle is its centroid; 5 standard deviations: 5 * 3 sqrt(1/18) / sqrt(15000) = 0.029
        assert torch.allclose(on_large.mean(0), torch.tensor([1 / 3, 0, 1]), atol=0.03)

    def test_normals(self) -> None:
        samples = sample_surface(Meshes.from_list([VERTICES], [FACES]), 50, seed=0)
        expected = torch.tensor([[0.0, 0, 1], [0, 0, 0], [0, 1, 0]])[samples.faces[0]]
        assert torch.equal(samples.normals[0], expected)

    def test_seed(self) -> None:
        one, same, other = (sample_surface(batch(), 5, seed=seed).points for seed in (3, 3, 4))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)

    def test_seed_leaves_the_global_generator_alone(self) -> None:
        before = torch.get_rng_state()
        sample_surface(batch(), 5, seed=3)
        assert torch.equal(before, torch.get_rng_state())
        sample_surface(batch(), 5)
        assert not torch.equal(before, torch.get_rng_state())

    def test_generator(self) -> None:
        draws = [sample_surface(batch(), 5, generator=torch.Generator().manual_seed(1)).points for _ in "ab"]
        assert torch.equal(*draws)

    def test_batch_is_loop(self) -> None:
        meshes = batch()
        points = sample_surface(meshes, 20, seed=1).points
        for item, mesh in enumerate(meshes):
            assert torch.equal(sample_surface(mesh, 20, seed=1).points[0], points[item])

    def test_dtypes(self) -> None:
        reference = sample_surface(batch().to(dtype=torch.float64), 10, seed=0)
        assert reference.points.dtype == torch.float64
        half = sample_surface(batch().to(dtype=torch.float16), 10, seed=0)
        assert half.points.dtype == torch.float32
        assert torch.equal(half.faces, reference.faces)

    def test_gradcheck(self) -> None:
        meshes = batch().to(dtype=torch.float64)
        leaf = meshes.vertices.clone().requires_grad_()

        def sampled(vertices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            samples = sample_surface(meshes.with_vertices(vertices), 4, seed=0)
            return samples.points, samples.normals

        assert torch.autograd.gradcheck(sampled, leaf)

    @given(st.sampled_from([1e-36, 1e-20, 1.0, 1e18, 1e37]), st.integers(0, 2**31))
    def test_finite_at_any_size(self, size: float, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        vertices = (torch.randint(-2, 3, (5, 3), generator=generator) * size).requires_grad_()
        faces = torch.cat([FACES, torch.randint(5, (4, 3), generator=generator)])
        meshes = Meshes.from_list([vertices, VERTICES], [faces, FACES])
        corners = meshes[0].face_vertices().double()
        if torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).abs().sum() == 0:
            with pytest.raises(ValueError, match="item 0"):
                sample_surface(meshes, 8, seed=seed)
            return
        samples = sample_surface(meshes, 8, seed=seed)
        assert samples.points.isfinite().all()
        assert torch.allclose(samples.normals.norm(dim=-1), torch.ones(2, 8), atol=1e-5)
        (gradient,) = torch.autograd.grad(samples.points.sum(), vertices)
        assert gradient.isfinite().all()

    def test_no_area_names_the_item(self) -> None:
        meshes = Meshes.from_list([VERTICES, VERTICES], [FACES, FACES[1:2]])
        with pytest.raises(ValueError, match=r"item 1: expected a surface with a positive, finite area.*1 faces"):
            sample_surface(meshes, 5)
        empty = Meshes.from_list([VERTICES], [FACES[:0]], allow_empty=True)
        with pytest.raises(ValueError, match=r"item 0: .*got 0 faces"):
            sample_surface(empty, 5)

    def test_rejects(self) -> None:
        with pytest.raises(ValueError, match="num_samples=0"):
            sample_surface(batch(), 0)
        with pytest.raises(ValueError, match="got both"):
            sample_surface(batch(), 1, seed=0, generator=torch.Generator())

    def test_empty_batch(self) -> None:
        assert sample_surface(batch()[:0], 5).points.shape == (0, 5, 3)

    @pytest.mark.cuda
    def test_same_points_on_the_gpu(self) -> None:
        here, there = (sample_surface(batch().to(device), 500, seed=0) for device in ("cpu", "cuda"))
        assert torch.equal(here.faces, there.faces.cpu())
        assert torch.allclose(here.points, there.points.cpu(), atol=1e-6)
