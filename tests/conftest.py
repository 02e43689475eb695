"""What all tests share: reproducible draws, CUDA tests only where there is a device, and real meshes."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
import torch

# The same examples in every run, and no deadline: no test is timed.
hypothesis.settings.register_profile("dr_kfs", deadline=None, derandomize=True)
hypothesis.settings.load_profile("dr_kfs")

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = Path(os.environ.get("DRKFS_REAL_DATA", REPOSITORY.parent / "shared" / "data" / "real"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real meshes: $DRKFS_REAL_DATA, or `shared/data/real` beside the checkout."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real meshes in {REAL_DATA}: set DRKFS_REAL_DATA")
    return REAL_DATA
