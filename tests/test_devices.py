"""All that takes tensors computes where they are, and the same there; on a stand-in where there is no GPU.

In an interpreter of its own, where torch knows that device.
"""

from __future__ import annotations

import copy
import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import stand_in_gpu
import torch
from stand_in_gpu import DEVICE, StandIn
from torch import Tensor

pytestmark = pytest.mark.skipif(not stand_in_gpu.available(), reason="this torch knows no devices of Python")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_of_them(outcomes: dict[str, str]) -> None:
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "same"} == {}


def test_no_loss_is_missing(outcomes: dict[str, str]) -> None:
    from dr_kfs import losses

    modules = {name for name in losses.__all__ if name.endswith("Loss")}
    assert modules <= {name.split(",")[0] for name in outcomes}


def cases() -> Iterator[tuple[str, Callable[[str], list[Tensor]]]]:
    """Names, and what gives results on a device."""
    from dr_kfs import (
        DRKFSLoss,
        HybridLoss,
        Meshes,
        SoftRenderer,
        VoxelGrid,
        extract_surface,
        hemisphere_rig,
        icosphere,
        losses,
        marching_cubes,
        metrics,
        normalize,
        sample_surface,
        soft_surface,
    )
    from dr_kfs.audit.distances import DISTANCES, make_distance
    from dr_kfs.fitting import FitSettings, MeshFit
    from dr_kfs.geometry import farthest_points
    from dr_kfs.report import comparison_sheet, seen_sheet
    from dr_kfs.voxel_fitting import VoxelFit, VoxelFitSettings

    sphere = icosphere(2)
    sides = [
        Meshes.cat([sphere.with_vertices(sphere.vertices * torch.tensor(size)) for size in sizes])
        for sizes in ([[0.8, 0.7, 0.4], [0.5, 0.9, 0.5]], [[1.0, 0.6, 0.4], [0.6, 0.9, 0.4]])
    ]
    clouds = torch.rand(2, 2, 40, 3).unbind()
    volume = torch.rand(1, 6, 6, 6)
    renderer = SoftRenderer(cameras=hemisphere_rig()[[1, 9]], image_size=64)
    small = DRKFSLoss(renderer=renderer)

    def moved(loss: Any, device: str) -> Any:
        return copy.deepcopy(loss).to(device) if isinstance(loss, torch.nn.Module) else loss

    def step(loss: Any, ours: Callable[[Tensor], Any], leaf: Tensor, *theirs: Any) -> Callable[[str], list[Tensor]]:
        """Value and gradient."""

        def on(device: str) -> list[Tensor]:
            torch.manual_seed(0)
            own = leaf.to(device).requires_grad_()
            value = moved(loss, device)(ours(own), *(each.to(device) for each in theirs))
            gradient = torch.autograd.grad(value.sum(), own)[0]
            return [value, gradient]

        return on

    def with_vertices(own: Tensor) -> Meshes:
        return sides[0].to(own.device).with_vertices(own)

    for name in ("NormalConsistency", "Flatten", "EdgeLength", "UniformLaplacian", "CotangentLaplacian"):
        yield f"{name}Loss", step(getattr(losses, f"{name}Loss")(), with_vertices, sides[0].vertices)
    for name in ("Image", "SilhouetteIoU", "Depth", "NormalMap"):
        loss = getattr(losses, f"{name}Loss")(renderer=renderer)
        yield f"{name}Loss", step(loss, with_vertices, sides[0].vertices, sides[1])
    for name in ("Chamfer", "QAL", "EMD", "DensityAwareChamfer", "HyperChamfer", "InfoChamfer", "SoftMatching"):
        yield f"{name}Loss", step(getattr(losses, f"{name}Loss")(), lambda own: own, clouds[0], clouds[1])
    yield "KROLoss", step(losses.KROLoss(k=3), lambda own: own, clouds[0], clouds[1])
    yield (
        "QALLoss, of surfaces",
        step(lambda *sides: losses.QALLoss()(*sides, samples=50, seed=0), with_vertices, sides[0].vertices, sides[1]),
    )
    for balance in ("fixed", "gradient-ratio", "gradnorm", "running-value", "uncertainty"):
        terms = {"drkfs": small, "qal": losses.QALLoss(), "edges": losses.EdgeLengthLoss()}
        hybrid = HybridLoss(terms, balance=balance, samples=50, seed=0)
        yield f"HybridLoss, {balance}", step(hybrid, with_vertices, sides[0].vertices, sides[1])
    for options in ({}, {"fused": False}, {"view_chunk": 1}, {"views_per_step": 1, "seed": 3}, {"normalize": "each"}):
        loss = DRKFSLoss(renderer=renderer, **options)
        yield f"drkfs, {options}", step(loss, with_vertices, sides[0].vertices, sides[1])
    yield "drkfs, a code", step(small, with_vertices, sides[0].vertices, small.encode(sides[1]))
    yield "drkfs, voxels", step(small, VoxelGrid.in_box, volume, sides[1][0])
    yield "drkfs, a soft surface", step(small, lambda own: soft_surface(VoxelGrid.in_box(own)), volume, sides[1][0])
    for options in ({}, {"shading": "smooth"}, {"coverage": "softras"}, {"sigma": 1e-4}):
        views = SoftRenderer(cameras=hemisphere_rig()[[1, 9]], image_size=32, **options)
        yield f"renderer, {options}", step(lambda own, views=views: views(own).images, with_vertices, sides[0].vertices)

    def plain(function: Callable[..., Any], *given: Any) -> Callable[[str], list[Tensor]]:
        """Results without a gradient."""

        def on(device: str) -> list[Tensor]:
            results = function(*(each.to(device) for each in given))
            return [part for part in _parts(results) if isinstance(part, Tensor)]

        return on

    def audited(name: str, device: str) -> list[Tensor]:
        distance = make_distance(name, device=device)
        return [torch.tensor(distance.distance(sides[0][0], distance.prepare(sides[1][0])), device=device)]

    def pictured(device: str) -> list[Tensor]:
        comparison = moved(small, device).compare(*(side[0].to(device) for side in sides))
        sheets = [comparison_sheet(comparison), seen_sheet(comparison, "target")]
        return [torch.tensor(np.asarray(sheet), device=device) for sheet in sheets]

    yield "compare", plain(lambda *pair: moved(small, pair[0].device).compare(*pair).per_view, *sides)
    yield (
        "visual_scores",
        plain(lambda *pair: metrics.visual_scores(moved(small, pair[0].device).compare(*pair), [0.01]), *sides),
    )
    for name in sorted(DISTANCES.keys() - {"drkfs-paper"}):  # whose weights are to be fetched
        yield f"audit, {name}", functools.partial(audited, name)
    yield "report", pictured
    yield "point_scores", plain(lambda *pair: metrics.point_scores(*pair, [0.05]), *clouds)
    yield "f_score", plain(metrics.f_score, clouds[0].square(), clouds[1])
    yield "point_noise_floor", plain(lambda mesh: metrics.point_noise_floor(mesh, 0.05, samples=50, seed=0), sides[0])
    yield "sample_surface", plain(lambda mesh: sample_surface(mesh, 20, seed=0), sides[0])
    yield "farthest_points", plain(lambda points: farthest_points(points, 8), clouds[0])
    yield "normalize", plain(lambda mesh: normalize(mesh).vertices, sides[0])
    for kind in ("probability", "logit", "distance"):
        grid = VoxelGrid.in_box(volume - (kind != "probability") / 2, kind=kind)
        yield f"marching_cubes, {kind}", plain(lambda grid: marching_cubes(grid).vertices, grid)

    def field(device: str) -> list[Tensor]:
        radius = torch.tensor(0.4, device=device, requires_grad=True)
        mesh = extract_surface(lambda points: points.norm(dim=-1) - radius, 12, kind="distance", device=device)
        return [mesh.vertices, torch.autograd.grad(mesh.vertices.sum(), radius)[0]]

    yield "extract_surface", field

    def mesh_fit(device: str) -> list[Tensor]:
        settings = FitSettings(steps=2, views_per_step=1)
        fit = MeshFit(sphere.to(device), sides[1][0].to(device), settings=settings, drkfs=moved(small, device))
        while not fit.done:
            fit.step()
        return [fit.meshes().vertices]

    yield "MeshFit", mesh_fit

    def voxel_fit(device: str, form: Any) -> list[Tensor]:
        sizes = {"image_size": 32, "exploring_image_size": 32}
        settings = VoxelFitSettings(steps=3, exploring_steps=1, drkfs_every=2, fill_every=1, explored=10, **sizes)
        loss = moved(small, device)
        grid = VoxelGrid.in_box(volume.to(device))
        fit = VoxelFit(grid, sides[1][0].to(device), form=form, settings=settings, drkfs=loss)
        while not fit.done:
            fit.step()
        return [fit.volume().values]

    for form in ("soft", "hard"):
        yield f"VoxelFit, {form}", functools.partial(voxel_fit, form=form)


def _parts(results: Any) -> list[Any]:
    if isinstance(results, Tensor):
        return [results]
    return list(vars(results).values() if hasattr(results, "__dict__") else results)


def outcome(results_on: Callable[[str], list[Tensor]]) -> str:
    """How what comes from the device compares."""
    expected = results_on("cpu")
    try:
        with StandIn():
            found = results_on(DEVICE)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if any(str(each.device) != DEVICE for each in found):
        return f"on {[str(each.device) for each in found]}"
    pairs = [(ours.detach(), theirs.detach().inner) for ours, theirs in zip(expected, found, strict=True)]  # type: ignore[attr-defined]
    return "same" if all(torch.equal(*pair) for pair in pairs) and pairs else f"other numbers: {pairs}"


def main() -> None:
    stand_in_gpu.register()
    found = {}
    for name, results_on in cases():
        if not sys.argv[1:] or sys.argv[1] in name:
            found[name] = outcome(results_on)
    sys.stdout.write(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
