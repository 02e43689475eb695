"""What functions of meshes or of volumes say to anything else."""

from __future__ import annotations

import subprocess
import sys

# In an interpreter of its own: here the type checker refuses them first, which users do not have.
REFUSED = """
import torch, trimesh
from dr_kfs.geometry import *

box, values = trimesh.creation.box(), torch.zeros(4, 4, 4)
calls = [
    (lambda: bounding_frame(box), "Expected Meshes, got Trimesh. Convert it: dr_kfs.as_meshes(shape)."),
    (lambda: normalize((torch.zeros(3, 3), torch.zeros(1, 3))), "Expected Meshes, got tuple."),
    (lambda: sample_surface(box, 3), "Expected Meshes, got Trimesh."),
    (lambda: save_mesh(box, "box.obj"), "Expected Meshes, got Trimesh."),
    (lambda: marching_cubes(values), "Expected a VoxelGrid, got Tensor. Say where its samples are"),
    (lambda: soft_surface(values), "Expected a VoxelGrid, got Tensor."),
    (lambda: save_voxels(values, "values.npz"), "Expected a VoxelGrid, got Tensor."),
]
for call, message in calls:
    try:
        call()
    except TypeError as error:
        if str(error).startswith(message):
            continue
        print(error)
    print("not refused with", message)
"""


def test_refused_with_the_way_out() -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
