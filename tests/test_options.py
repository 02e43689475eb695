"""Options out of range are refused when a module is made, not in the first step of a training."""

from __future__ import annotations

import subprocess
import sys

# In an interpreter of its own: here the type checker refuses them first, which users do not have.
REFUSED = """
from dr_kfs import DRKFSLoss, losses
from dr_kfs.losses import *
from dr_kfs.rendering import SoftRenderer

options = {
    ChamferLoss: [dict(preset="x"), dict(points="x"), dict(directions="x")],
    QALLoss: [dict(preset="x"), dict(uncovered="x"), dict(tau=0.0), dict(eps=-1.0), dict(omega=-1.0),
              dict(lambda_attr=-1.0)],
    EMDLoss: [dict(method="x"), dict(blur=0.0)],
    DensityAwareChamferLoss: [dict(alpha=0.0), dict(exponent=-1.0), dict(size_ratio="x")],
    HyperChamferLoss: [dict(alpha=0.0), dict(floor=-1.0)],
    InfoChamferLoss: [dict(temperature=0.0), dict(contrast=-1.0), dict(points="x")],
    SoftMatchingLoss: [dict(min_probability=3.0), dict(iterations=-1)],
    KROLoss: [dict(preset="x"), dict(k=0), dict(max_k=0), dict(softness=0.0)],
    EdgeLengthLoss: [dict(target=-1.0)],
    UniformLaplacianLoss: [],
    CotangentLaplacianLoss: [],
    NormalConsistencyLoss: [],
    FlattenLoss: [],
    ImageLoss: [dict(channel="x"), dict(normalize="x")],
    SilhouetteIoULoss: [dict(normalize="x")],
    DepthLoss: [dict(pixels="x"), dict(normalize="x")],
    NormalMapLoss: [dict(normalize="x")],
    DRKFSLoss: [dict(normalize="x"), dict(view_chunk=0), dict(max_memory=-1.0), dict(views_per_step=26),
                dict(recall_weight=-1.0)],
    SoftRenderer: [dict(sigma=-1.0), dict(gamma=0.0), dict(image_size=0), dict(faces_per_pixel=0), dict(shading="x"),
                   dict(coverage="x"), dict(backend="x"), dict(sigma=float("nan"))],
}
accepted = [name for name in losses.__all__ if name.endswith("Loss") and getattr(losses, name) not in options]
accepted.remove("HybridLoss")  # its options are terms, see test_hybrid.py
for module, all_wrong in options.items():
    if module is not SoftRenderer:
        all_wrong = [*all_wrong, dict(reduction="x")]
    for wrong in all_wrong:
        try:
            module(**wrong)
        except ValueError as error:
            (name,) = wrong
            if name in str(error) or str(wrong[name]) in str(error):
                continue
        accepted.append(f"{module.__name__}({wrong})")
print(accepted)
"""


def test_refused_when_made() -> None:
    done = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
