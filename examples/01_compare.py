"""Compare two chairs: the distance, and the views and places where they differ.

    python examples/01_compare.py        (about 20 seconds on 2 cores; writes outputs/compare.png)

The second chair lacks a leg. Its views show where the missing leg costs most.
"""

import os
from pathlib import Path

from rich.console import Console

import dr_kfs
from dr_kfs.datasets import generate
from dr_kfs.report import comparison_sheet, comparison_table, save_image

OUT = Path(os.environ.get("DRKFS_EXAMPLE_OUT", "outputs"))
VIEWS = int(os.environ.get("DRKFS_EXAMPLE_VIEWS", "25"))


def main() -> None:
    """Compare, print, draw."""
    chair = generate("chair", 4, style={"legs": "four", "bars": "box", "arms": "none"})
    broken = chair.without("leg_0")
    thick = chair.scaled("leg_*", (1.2, 1.0, 1.2))

    loss_fn = dr_kfs.DRKFSLoss(renderer=dr_kfs.SoftRenderer(cameras=dr_kfs.hemisphere_rig()[:VIEWS]))
    code = loss_fn.encode(chair.to_meshes())  # the target, described once
    print(f"a leg removed:    {loss_fn(broken.to_meshes(), code).item():.4f}")
    print(f"all legs thicker: {loss_fn(thick.to_meshes(), code).item():.4f}")

    comparison = loss_fn.compare(broken.to_meshes(), chair.to_meshes())
    Console().print(comparison_table(comparison))
    OUT.mkdir(parents=True, exist_ok=True)
    save_image(OUT / "compare.png", comparison_sheet(comparison))
    print(f"wrote {OUT / 'compare.png'}: where they differ")


if __name__ == "__main__":
    main()
