"""Recall and precision, of points and of looks: what is missing, and what does not belong.

    python examples/07_recall_precision.py        (about 1 minute on 2 cores)

A chair without a leg and its bars against the whole chair (something is missing), and the other way round (something
does not belong). One number calls both wrong; its two directions say how. Both can be weighed in training:
QALLoss(lambda_attr=...) for points, DRKFSLoss(recall_weight=..., precision_weight=...) for looks.
"""

import os

from rich.console import Console
from rich.table import Table

import dr_kfs
from dr_kfs.datasets import generate
from dr_kfs.metrics import point_noise_floor, point_scores, visual_scores

VIEWS = int(os.environ.get("DRKFS_EXAMPLE_VIEWS", "25"))
SAMPLES = int(os.environ.get("DRKFS_EXAMPLE_SAMPLES", "8192"))
TAUS = (0.001, 0.003, 0.01)  # of descriptors: mean squared difference per dimension
TAU = 0.02  # of points [diagonals of the target]


def main() -> None:
    """Print both tables."""
    chair = generate("chair", 4, style={"legs": "four", "bars": "box", "arms": "none"})
    frame = dr_kfs.bounding_frame(chair.to_meshes())
    whole = dr_kfs.normalize(chair.to_meshes(), frame)
    broken = dr_kfs.normalize(chair.without("leg_0", "bar_*").to_meshes(), frame)
    pairs = {"missing": (broken, whole), "extra": (whole, broken)}

    stages = {"renderer": dr_kfs.SoftRenderer(cameras=dr_kfs.hemisphere_rig()[:VIEWS]), "normalize": "none"}
    loss_fn = dr_kfs.DRKFSLoss(**stages)
    recall_first = dr_kfs.DRKFSLoss(**stages, recall_weight=2.0, precision_weight=0.5)
    codes = {id(shape): loss_fn.encode(shape) for shape in (whole, broken)}  # weights do not change a code

    looks = Table("predicted", "DR-KFS", "R x 2, P x 0.5", *(f"R / P / F at {tau}" for tau in TAUS))
    for name, (predicted, target) in pairs.items():
        ours, theirs = codes[id(predicted)], codes[id(target)]
        scores = visual_scores(loss_fn.compare(ours, theirs), TAUS)
        rows = zip(scores.recall[0].tolist(), scores.precision[0].tolist(), scores.f1[0].tolist(), strict=True)
        values = (f"{loss(ours, theirs).item():.4f}" for loss in (loss_fn, recall_first))
        looks.add_row(name, *values, *(" / ".join(f"{value:.3f}" for value in row) for row in rows))

    points = Table("predicted", "QAL, lambda_attr = 0", "QAL, lambda_attr = 2", f"R / P / F at {TAU}")
    attraction = [dr_kfs.QALLoss(preset="calibrated", tau=TAU, lambda_attr=weight) for weight in (0.0, 2.0)]
    for name, (predicted, target) in pairs.items():
        scores = point_scores(predicted, target, TAU, samples=SAMPLES, seed=0)
        numbers = " / ".join(f"{each.item():.3f}" for each in (scores.coverage, scores.precision, scores.f1))
        values = (f"{loss(predicted, target, samples=SAMPLES, seed=0).item():.5f}" for loss in attraction)
        points.add_row(name, *values, numbers)

    console = Console(width=120)
    console.print("Looks: recall asks whether the target's patches are found in the prediction, precision the reverse.")
    console.print(looks)
    floor = point_noise_floor(whole, TAU, samples=SAMPLES, seed=0).f1.item()
    console.print(f"Points: the same of samples; another sample of the same chair has F = {floor:.3f}.")
    console.print(points)


if __name__ == "__main__":
    main()
