"""Train a network with DR-KFS: latent codes to offsets of a sphere's vertices, three targets in a batch.

    python examples/03_train_step.py     (about 2 minutes on 2 cores)

The targets are described once (ShapeCode); a few random views per step give an unbiased, cheaper gradient.
"""

import os

import torch
from torch import nn

import dr_kfs
from dr_kfs.datasets import generate
from dr_kfs.losses import uniform_laplacian_loss

STEPS = int(os.environ.get("DRKFS_EXAMPLE_STEPS", "20"))
VIEWS = int(os.environ.get("DRKFS_EXAMPLE_VIEWS", "8"))  # around the shape; the metric itself has 25
VIEWS_PER_STEP = min(2, VIEWS)
FAMILIES = ("chair", "table", "lamp")
LATENT = 16


def main() -> None:
    """Train for a few steps and print the loss of each."""
    torch.manual_seed(0)
    loss_fn = dr_kfs.DRKFSLoss(renderer=dr_kfs.SoftRenderer(cameras=dr_kfs.hemisphere_rig()[:VIEWS]))
    # A data set would keep one code per shape on disk: code.save(path), ShapeCode.load(path).
    shapes = [dr_kfs.normalize(generate(family, 1).to_meshes()) for family in FAMILIES]
    targets = dr_kfs.ShapeCode.cat([loss_fn.encode(shape) for shape in shapes])

    sphere = dr_kfs.icosphere(2)
    template = dr_kfs.Meshes.cat([sphere] * len(FAMILIES))  # packed: N vertices of all items in one (N, 3)
    network = nn.Sequential(nn.Linear(LATENT, 128), nn.ReLU(), nn.Linear(128, sphere.vertices.numel()))
    latents = nn.Parameter(torch.randn(len(FAMILIES), LATENT))
    optimizer = torch.optim.Adam([latents, *network.parameters()], lr=2e-3)  # the loss itself has no parameters

    for step in range(1, STEPS + 1):
        offsets = 0.1 * network(latents).view(-1, 3)
        predicted = template.with_vertices(0.6 * template.vertices + offsets)
        views = torch.randperm(VIEWS)[:VIEWS_PER_STEP].tolist()
        drkfs = loss_fn(predicted, targets, views=views)
        loss = drkfs + 10.0 * uniform_laplacian_loss(predicted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step:3d}: loss {loss.item():.4f}, DR-KFS {drkfs.item():.4f}")


if __name__ == "__main__":
    main()
