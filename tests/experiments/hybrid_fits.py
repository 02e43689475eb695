"""One fit of the hybrid experiment: a sphere, a target, an objective, and what came out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import dr_kfs
from dr_kfs.datasets import TRAIN_FAMILIES, VALIDATION_SEEDS, generate
from dr_kfs.descriptors.precision import has_bfloat16_units
from dr_kfs.geometry import PointSets, nearest_neighbors
from dr_kfs.large_steps import LargeSteps
from dr_kfs.losses import object_space_first
from dr_kfs.metrics import point_scores

ALONE = ("drkfs", "qal", "chamfer")
BALANCES = ("fixed", "running-value", "gradient-ratio", "uncertainty", "gradnorm")
HYBRIDS = tuple(f"hybrid {name}" for name in (*BALANCES, "schedule"))
OBJECTIVES = ("sphere", *ALONE, *HYBRIDS)
"""What a sphere is fitted under, DR-KFS and QAL together in the hybrids; "sphere" is no fit at all."""
UNAIDED = HYBRIDS[:3]
"""Those that work without the caller's help: no parameters to learn, no number of steps to know."""
MEASURES = {"drkfs": False, "chamfer": False, "f1": True, "normals": True}
"""What is measured, and whether higher is better."""


@dataclass(frozen=True, kw_only=True)
class FitSetup:
    """The same for every objective. Lengths are in units of the target's diagonal."""

    steps: int = 40
    """Gradient steps."""
    views: int = 8
    """Views per step, drawn at random from the rig of 25, the same ones for every objective."""
    image_size: int = 64
    """Of these views [px]: a patch of 32 px then sees enough of the shape to move its proportions."""
    samples: int = 2048
    """Points that a step draws from each surface."""
    subdivisions: int = 3
    """Of the sphere: 642 vertices."""
    rate: float = 3e-2
    """Largest motion of a coordinate per step, at the start; falls to a tenth by the end (cosine)."""
    smoothing: float = 3.0
    """See `LargeSteps`. The only regulariser: as it scales with no objective, no objective is favoured by a weight."""
    learned_rate: float = 0.1
    """Adam's, for the parameters of the balancers that learn theirs."""
    measured_size: int = 256
    """Of the 25 views of the measured DR-KFS distance [px]."""
    measured_samples: int = 8192
    """Points of each surface for the other measures."""
    tau: float = 0.02
    """Of the F-score."""
    preset: str = "default"
    """Of DR-KFS, as an objective and as a measure."""


Shape = tuple[str, int]


def target_mesh(family: str, seed: int) -> dr_kfs.Meshes:
    """A shape in the unit frame."""
    return dr_kfs.normalize(generate(family, seed).to_meshes())


def shapes(count: int) -> list[Shape]:
    """The targets: families that weights are trained on in turn, with seeds of validation."""
    families = len(TRAIN_FAMILIES)
    return [(TRAIN_FAMILIES[i % families], VALIDATION_SEEDS[100 + i // families]) for i in range(count)]


class Fits:
    """All fits of one setup; the networks are loaded once."""

    def __init__(self, setup: FitSetup, device: str) -> None:
        self.setup = setup
        self.device = device
        self.fast_bfloat16 = has_bfloat16_units(torch.device(device))
        self.template = dr_kfs.normalize(dr_kfs.icosphere(setup.subdivisions)).to(device)
        renderer = dr_kfs.SoftRenderer(image_size=setup.measured_size)
        self.metric = dr_kfs.DRKFSLoss.from_preset(setup.preset, renderer=renderer, normalize="none").to(device)
        self.renderer = self.metric.renderer.resized(setup.image_size)

    def loss(self, objective: str) -> dr_kfs.HybridLoss:
        """The objective, as a user would make it: the library's defaults, weights of 1."""
        kind, _, balance = objective.partition(" ")
        terms: dict[str, torch.nn.Module] = {}
        if kind in ("drkfs", "hybrid"):
            terms["drkfs"] = dr_kfs.DRKFSLoss.from_preset(
                self.setup.preset,
                precision="bfloat16" if self.fast_bfloat16 else "float32",  # the small views of an objective
                renderer=self.renderer,
                detector=self.metric.detector,
                normalize="none",
                views_per_step=self.setup.views,
                seed=0,
            )
        if kind in ("qal", "hybrid"):
            terms["qal"] = dr_kfs.QALLoss()
        if kind == "chamfer":
            terms["chamfer"] = dr_kfs.ChamferLoss()
        weights = None
        if balance == "schedule":
            half = self.setup.steps // 2
            weights = object_space_first(visual=["drkfs"], objects=["qal"], switch=half, steps=half // 2)
        balanced = balance if balance in BALANCES else "fixed"
        loss = dr_kfs.HybridLoss(terms, weights=weights, balance=balanced, samples=self.setup.samples, seed=0)
        return loss.to(self.device)

    def fit(self, objective: str, target: dr_kfs.Meshes, code: dr_kfs.ShapeCode | None) -> dr_kfs.Meshes:
        """The template after all steps; `code` is the target's, at the size of the objective's views."""
        setup = self.setup
        if objective == "sphere":
            return self.template
        loss_fn = self.loss(objective)
        learned = list(loss_fn.parameters())
        learner = torch.optim.Adam(learned, lr=setup.learned_rate) if learned else None
        targets = {"drkfs": code} if "drkfs" in loss_fn.names else None
        vertices = self.template.vertices.clone().requires_grad_()
        descent = LargeSteps(self.template, smoothing=setup.smoothing)
        for step in range(setup.steps):
            loss = loss_fn(self.template.with_vertices(vertices), target, targets=targets)
            gradient, *others = torch.autograd.grad(loss, [vertices, *learned])
            rate = setup.rate * (0.1 + 0.45 * (1.0 + math.cos(math.pi * step / setup.steps)))
            descent.step(vertices, gradient, rate=rate)
            if learner is not None:
                for parameter, slope in zip(learned, others, strict=True):
                    parameter.grad = slope
                learner.step()
        return self.template.with_vertices(vertices.detach())

    def encoded(self, target: dr_kfs.Meshes, *, measured: bool) -> dr_kfs.ShapeCode:
        """The target's code for the metric, or for the objectives."""
        loss = self.metric if measured else self.loss("drkfs").losses["drkfs"]
        assert isinstance(loss, dr_kfs.DRKFSLoss)
        return loss.encode(target)

    def measure(self, fitted: dr_kfs.Meshes, target: dr_kfs.Meshes, code: dr_kfs.ShapeCode) -> dict[str, float]:
        """All `MEASURES`; `code` is the target's, for the metric."""
        samples = self.setup.measured_samples
        with torch.no_grad():  # a measurement
            ours = PointSets.from_meshes(fitted, samples, seed=1)
            theirs = PointSets.from_meshes(target, samples, seed=2)
            return {
                "drkfs": float(self.metric(fitted, code)),
                "chamfer": float(dr_kfs.ChamferLoss(preset="occnet-l1")(ours, theirs)),
                "f1": float(point_scores(ours, theirs, self.setup.tau).f1),
                "normals": float(normal_agreement(ours, theirs)),
            }


def normal_agreement(ours: PointSets, theirs: PointSets) -> Tensor:
    """Normal consistency in [0, 1]: mean |cos| of the normals of nearest points, mean of both ways.

    Without the sign, as CAD surfaces are wound either way. L. Mescheder et al.: Occupancy Networks. CVPR 2019, Sec. 4.
    """
    ways = []
    for sets, others in ((ours, theirs), (theirs, ours)):
        assert sets.normals is not None
        assert others.normals is not None
        ways.append((sets.normals * others.normals[nearest_neighbors(sets, others)]).sum(dim=1).abs().mean())
    return torch.stack(ways).mean()
