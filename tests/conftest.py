"""What all tests share: checked types and shapes, reproducible draws, skips without a device, real meshes."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import jaxtyping
import pytest
import torch

# The same examples in every run, and no deadline: no test is timed.
hypothesis.settings.register_profile("dr_kfs", deadline=None, derandomize=True)
hypothesis.settings.load_profile("dr_kfs")

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = Path(os.environ.get("DRKFS_REAL_DATA", REPOSITORY.parent / "shared" / "data" / "real"))


def pytest_configure() -> None:
    """Check the annotations of every call into dr_kfs with beartype, from its first import on.

    As `--jaxtyping-packages=dr_kfs,beartype.beartype`, but not in kernel modules (`_*_warp`),
    whose annotations are Warp's and not types. Packages only re-export.
    """
    paths = (path.relative_to(REPOSITORY) for path in (REPOSITORY / "dr_kfs").rglob("*.py"))
    modules = [".".join(path.with_suffix("").parts) for path in paths if path.stem != "__init__"]
    checked = [module for module in modules if not module.endswith("_warp")]
    jaxtyping.install_import_hook(checked, "beartype.beartype")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def modules_of(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[str], ModuleType]]:
    """`modules_of("benchmarks")("run")` imports tests/benchmarks/run.py, whose folder is no package."""

    def loader(folder: str) -> Callable[[str], ModuleType]:
        monkeypatch.syspath_prepend(repository / "tests" / folder)
        return importlib.import_module

    return loader


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


@pytest.fixture
def assert_compiles_to_ptx(tmp_path: Path) -> Callable[..., None]:
    """A check: `assert_compiles_to_ptx(kernels, name, arch)`, where `kernels(real)` holds the kernel of that name."""
    from dr_kfs._warp_runtime import quiet_warp  # not above: type checks are installed after this file

    def check(kernels: Callable[..., Any], name: str, arch: int) -> None:
        with quiet_warp() as warp:
            kernel = getattr(kernels(warp.float32), name)
            try:
                warp.compile_aot_module(kernel.module, arch=arch, module_dir=tmp_path, use_ptx=True)
            except RuntimeError as error:
                if "CUDA" in str(error) and "not built" in str(error):
                    pytest.skip(f"this Warp has no CUDA compiler: {error}")
                raise
        assert any(b".entry" in path.read_bytes() for path in tmp_path.rglob("*.ptx"))

    return check


@pytest.fixture
def opcheck() -> Callable[[Any, tuple[Any, ...]], None]:
    """`torch.library.opcheck` of an operator and inputs; it warns of itself in torch 2.14."""

    def check(operator: Any, inputs: tuple[Any, ...]) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor that is not a leaf")
            torch.library.opcheck(operator, inputs)

    return check
