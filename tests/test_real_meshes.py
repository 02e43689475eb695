"""Real files: they load, render, and the distances order as eyes do. Skipped where the files are not at hand."""

import pytest
import torch

from dr_kfs import DRKFSLoss, SoftRenderer, hemisphere_rig, load_meshes, normalize
from dr_kfs.datasets import generate

FILES = ["common/spot.obj", "common/bunny_pcu.ply", "kaolin/armchair.obj", "mesh_to_sdf/chair.obj"]
TRUCKS = ["kenney/vehicle-truck-red.glb", "kenney/vehicle-truck-green.glb", "kenney/vehicle-motorcycle.glb"]


@pytest.fixture(scope="module")
def loss_fn():
    return DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1, 9, 24]]))


@pytest.mark.parametrize("name", FILES)
def test_a_real_mesh_renders_and_is_at_zero_from_itself(real_data, loss_fn, name):
    meshes = load_meshes(real_data / name)
    alpha = loss_fn.renderer(normalize(meshes)).alpha
    assert 0.02 < alpha.mean() < 0.5
    assert loss_fn(meshes, meshes) == 0
    assert loss_fn(generate("lamp", 0).to_meshes(), meshes) > 0.005


def test_trucks_are_nearer_to_each_other_than_to_the_motorcycle(real_data, loss_fn):
    red, green, motorcycle = (load_meshes(real_data / name) for name in TRUCKS)
    assert loss_fn(red, green) < loss_fn(red, motorcycle)
    assert loss_fn(red, green) < loss_fn(green, motorcycle)


@pytest.mark.parametrize("name", ["mesh_to_sdf/chair.obj", "kaolin/armchair.obj"])
def test_triangulation_invariance_on_real_meshes(real_data, name):
    """The same surface, subdivided twice, renders to within 1 % of mean absolute difference."""
    import trimesh

    meshes = normalize(load_meshes(real_data / name))
    vertices, faces = meshes.vertices.double().numpy(), meshes.faces.numpy()
    for _ in range(2):
        vertices, faces = trimesh.remesh.subdivide(vertices, faces)
    renderer = SoftRenderer(cameras=hemisphere_rig()[[1, 9]])
    fine = type(meshes).from_list([torch.tensor(vertices, dtype=torch.float32)], [torch.tensor(faces)])
    once, twice = renderer(meshes), renderer(fine)
    assert (once.images - twice.images).abs().mean() < 0.01 * once.images.mean()
    torch.testing.assert_close(once.alpha, twice.alpha, atol=1e-4, rtol=0)
