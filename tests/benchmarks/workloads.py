"""What a case runs: from a `Case` to a function of no arguments, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from cases import POINT_LOSSES, Case

from dr_kfs import (
    Cameras,
    ChamferLoss,
    DRKFSLoss,
    Meshes,
    QALLoss,
    SoftRenderer,
    VoxelGrid,
    hemisphere_rig,
    icosphere,
    marching_cubes,
    normalize,
)
from dr_kfs.datasets import generate
from dr_kfs.rendering.cameras import sphere_points

FACES_PER_PIXEL = 50
"""Of PyTorch3D: what its own soft silhouette and mesh fitting tutorials use."""


def prepare(case: Case) -> Callable[[], None]:
    """Everything that a training run does once: the shapes, the stages, the target's code. The result is one step."""
    if case.what in POINT_LOSSES:
        return _points(case)
    makers = {"render": _render, "step": _step, "pytorch3d": _pytorch3d, "surface": _surface}
    return makers[case.what](case)


def small(case: Case) -> Case:
    """The same kind of work on next to nothing, for warming up: kernels are compiled, libraries loaded."""
    return replace(case, faces=320, views=1, size=64, batch=1, grid=8, points=min(case.points, 3000))


def sphere(faces: int) -> Meshes:
    """A sphere of the given number of faces, unit diagonal: `icosphere` where it has that number.

    Otherwise 20 n^2 faces: each of the icosahedron's cut into n^2 and projected.

    Raises:
        ValueError: the number is not 20 n^2.
    """
    import trimesh

    frequency = math.isqrt(faces // 20)
    if faces != 20 * frequency**2 or not frequency:
        raise ValueError(f"A sphere of equal triangles has 20 n^2 faces, got {faces}.")
    subdivisions = frequency.bit_length() - 1
    if frequency == 2**subdivisions:
        return normalize(icosphere(subdivisions))
    # Corner (i, j) of the grid on a face a, b, c is ((n - i - j) a + i b + j c) / n.
    grid = [(i, j) for i in range(frequency + 1) for j in range(frequency + 1 - i)]
    number = {corner: index for index, corner in enumerate(grid)}
    upward = [(number[i, j], number[i + 1, j], number[i, j + 1]) for i, j in grid if i + j < frequency]
    downward = [(number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]) for i, j in grid if i + j < frequency - 1]
    share = np.array([(frequency - i - j, i, j) for i, j in grid]) / frequency
    solid = trimesh.creation.icosahedron()
    corners = share @ solid.vertices[solid.faces]
    triangles = np.array(upward + downward) + len(grid) * np.arange(20)[:, None, None]
    corners /= np.linalg.norm(corners, axis=-1, keepdims=True)
    # trimesh merges the corners that neighbouring faces share.
    merged = trimesh.Trimesh(corners.reshape(-1, 3), triangles.reshape(-1, 3), process=True)
    return normalize(Meshes.from_trimesh(merged).to(dtype=torch.float32))


def rig(views: int) -> Cameras:
    """The first views of the paper's rig; more than its 25 lie on a spiral over the same hemisphere."""
    paper = hemisphere_rig()
    if views <= len(paper):
        return paper[:views]
    steps = torch.arange(views, dtype=torch.float64)
    azimuth = steps * 180.0 * (3.0 - math.sqrt(5.0))  # the golden angle
    elevation = torch.rad2deg(torch.asin((steps + 0.5) / views))  # equal areas
    return Cameras.look_at(sphere_points(azimuth, elevation, 2.732)).to(dtype=torch.float32)


def _spheres(case: Case) -> Meshes:
    return Meshes.cat([sphere(case.faces)] * case.batch).to(device=case.device)


def _renderer(case: Case) -> SoftRenderer:
    return SoftRenderer(cameras=rig(case.views), image_size=case.size, sigma=case.sigma)


def _render(case: Case) -> Callable[[], None]:
    meshes, renderer = _spheres(case), _renderer(case)
    vertices = meshes.vertices.clone().requires_grad_()
    weights = torch.randn(case.size, case.size, device=case.device)

    def run() -> None:
        images = renderer(meshes.with_vertices(vertices)).images
        torch.autograd.grad((images * weights).sum(), vertices)

    return run


def _step(case: Case) -> Callable[[], None]:
    meshes = _spheres(case)
    vertices = meshes.vertices.clone().requires_grad_()
    loss_fn = DRKFSLoss.from_preset(
        case.preset, precision=case.precision, renderer=_renderer(case), cuda_graphs=case.graphs
    ).to(case.device)
    # One chair serves as every target of the batch: what it costs does not depend on which.
    code = loss_fn.encode(generate("chair", 4).to_meshes().to(device=case.device))[[0] * case.batch]

    def run() -> None:
        torch.autograd.grad(loss_fn(meshes.with_vertices(vertices), code), vertices)

    return run


def _surface(case: Case) -> Callable[[], None]:
    """Occupancies of a ball with bumps, as a network would give them."""
    x, y, z = VoxelGrid.in_box(torch.zeros((case.grid,) * 3), (-1.0, 1.0)).points()[0].unbind(-1)
    distance = 0.7 - (x**2 + y**2 + z**2).sqrt() + 0.1 * torch.sin(9 * x) * torch.sin(8 * y) * torch.sin(7 * z)
    values = torch.sigmoid(20 * distance).to(case.device).repeat(case.batch, 1, 1, 1).requires_grad_()

    def run() -> None:
        torch.autograd.grad(marching_cubes(VoxelGrid.in_box(values)).vertices.square().sum(), values)

    return run


def _points(case: Case) -> Callable[[], None]:
    """Two independent samples of one sphere of radius 1; gradients of both."""
    sets = torch.randn(2, case.points, 3, generator=torch.Generator().manual_seed(0)).to(case.device)
    one, other = torch.nn.functional.normalize(sets, dim=-1).requires_grad_().unbind(0)
    losses = {"chamfer": ChamferLoss(), "qal": QALLoss(), "ckdtree": _chamfer_by_tree}
    loss_fn = losses[case.what]

    def run() -> None:
        torch.autograd.grad(loss_fn(one, other), (one, other))

    return run


def _chamfer_by_tree(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The peer: scipy's k-d tree on as many threads as torch has."""
    from scipy.spatial import cKDTree

    total = one.new_zeros(())
    for query, reference in ((one, other), (other, one)):
        tree = cKDTree(reference.detach().cpu().numpy(), balanced_tree=False, compact_nodes=False)
        index = tree.query(query.detach().cpu().numpy(), workers=torch.get_num_threads())[1]
        total = total + (query - reference[torch.from_numpy(index).to(query.device)]).square().sum(1).mean()
    return total


def _pytorch3d(case: Case) -> Callable[[], None]:
    """MeshRasterizer and SoftPhongShader with white vertices, as far away and as soft as ours."""
    from pytorch3d import renderer as peer
    from pytorch3d.structures import Meshes as PeerMeshes

    meshes = sphere(case.faces)
    faces = meshes.faces.to(case.device)
    vertices = meshes.vertices.to(case.device).requires_grad_()
    views = case.measured_views
    around = [360.0 * view / views for view in range(views)]
    rotation, translation = peer.look_at_view_transform(dist=2.732, elev=0.0, azim=around)
    cameras = peer.FoVPerspectiveCameras(R=rotation, T=translation, fov=25.0, device=case.device)
    settings = peer.RasterizationSettings(
        image_size=case.size,
        blur_radius=math.log(1.0 / 1e-4 - 1.0) * case.sigma,
        faces_per_pixel=FACES_PER_PIXEL,
    )
    lights = peer.PointLights(location=[[0.0, 0.0, 3.0]], device=case.device)
    draw = peer.MeshRenderer(
        rasterizer=peer.MeshRasterizer(cameras=cameras, raster_settings=settings),
        shader=peer.SoftPhongShader(
            cameras=cameras, lights=lights, device=case.device, blend_params=peer.BlendParams(sigma=case.sigma)
        ),
    )
    weights = torch.randn(case.size, case.size, 4, device=case.device)
    white = torch.ones_like(vertices)[None]

    def run() -> None:
        shape = PeerMeshes([vertices], [faces], textures=peer.TexturesVertex(white))
        torch.autograd.grad((draw(shape.extend(views)) * weights).sum(), vertices)

    return run
