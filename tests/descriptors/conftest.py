"""Networks of kornia with random weights, and published checkpoints where there are any."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
PUBLISHED_WEIGHTS = Path(os.environ.get("DRKFS_PUBLISHED_WEIGHTS", REPOSITORY.parent / "shared" / "data" / "weights"))


@pytest.fixture(scope="session")
def kornia_network() -> Callable[[str], Any]:
    """A network of `kornia.feature` by name, whose statistics, scales and offsets are not trivial; do not change it."""

    @functools.cache
    def make(name: str) -> Any:
        import kornia.feature

        torch.manual_seed(0)
        network = getattr(kornia.feature, name)(pretrained=False)
        for parameter in network.parameters():
            if parameter.shape[0] == 1:  # scales, offsets and thresholds of HyNet
                parameter.data += 0.1 * torch.randn_like(parameter)
        network.train()
        with torch.no_grad():
            network(torch.randn(16, 1, 32, 32))  # running statistics
        return network.eval()

    return make


@pytest.fixture
def tfeat_liberty() -> Path:
    """The published TFeat: $DRKFS_PUBLISHED_WEIGHTS, or `shared/data/weights` beside the checkout."""
    path = PUBLISHED_WEIGHTS / "tfeat" / "tfeat-liberty.params"
    if not path.is_file():
        pytest.skip(f"no published TFeat at {path}: set DRKFS_PUBLISHED_WEIGHTS")
    return path
