"""The shape of the package: imports run one way, importing is light and silent, names say something."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import jaxtyping
import pytest

from dr_kfs.weights import weights_fingerprint

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = sorted((REPOSITORY / "dr_kfs").rglob("*.py"))
EXAMPLES = sorted((REPOSITORY / "examples").rglob("*.py"))

# The pipeline, left to right. A unit imports itself and what stands left of it; units of one line do not see
# each other. The longest prefix of a module's name is its unit.
LAYERS = (
    ("dr_kfs._cpp_source", "dr_kfs._plain_autograd", "dr_kfs._warp_runtime", "dr_kfs.whole_files"),
    ("dr_kfs._kernel_launch",),
    ("dr_kfs._nearest_patch_warp",),
    ("dr_kfs._nearest_patch", "dr_kfs._constants", "dr_kfs._frozen_buffers", "dr_kfs.geometry", "dr_kfs.weights"),
    ("dr_kfs.datasets",),
    ("dr_kfs.rendering",),
    ("dr_kfs.losses",),  # single terms: of points, meshes or rendered images
    ("dr_kfs.keypoints",),
    ("dr_kfs.descriptors",),
    ("dr_kfs.matching",),
    ("dr_kfs.comparison", "dr_kfs.shape_code"),
    ("dr_kfs._image_stages",),
    ("dr_kfs._recorded_stages",),
    ("dr_kfs._sides", "dr_kfs.large_steps", "dr_kfs.presets", "dr_kfs.step_plan"),
    ("dr_kfs._chunked_step",),
    ("dr_kfs.drkfs",),
    ("dr_kfs._settings_differences",),
    ("dr_kfs._row_file", "dr_kfs._sample_views", "dr_kfs._saved_fit"),
    ("dr_kfs.fitting",),
    ("dr_kfs.voxel_fitting",),
    ("dr_kfs.losses._term_inputs", "dr_kfs.losses.balancing"),
    ("dr_kfs.losses.hybrid", "dr_kfs.metrics"),
    ("dr_kfs.losses.__init__",),  # imports every loss, the hybrid too
    ("dr_kfs.audit", "dr_kfs.evaluation"),
    ("dr_kfs.report",),
    ("dr_kfs.__init__",),
    ("dr_kfs.training",),
    ("dr_kfs.cli",),
    ("dr_kfs.__main__",),
)
RANKS = {unit: rank for rank, units in enumerate(LAYERS) for unit in units}
# Narrower than their place in the line.
ONLY = {"dr_kfs.datasets": {"dr_kfs.geometry"}}

HEAVY = [
    "PIL",
    "cv2",
    "imageio",
    "kornia",
    "kornia_moons",
    "matplotlib",
    "pandas",
    "pytorch3d",
    "rich",
    "scipy",
    "skimage",
    "timm",
    "torchvision",
    "trimesh",
    "typer",
    "warp",
]
MAX_LINES = 400
EMPTY_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}


def module_name(path: Path, root: Path) -> str:
    """`dr_kfs.geometry.meshes`; a package is `dr_kfs.geometry.__init__`."""
    return ".".join(path.relative_to(root).with_suffix("").parts)


def imported_modules(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import of dr_kfs in a file, inside functions too."""
    package = module_name(path, root).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            # The version is set before anything is imported: whoever names it imports nothing else.
            names = [a.name for a in node.names if (base, a.name) != ("dr_kfs", "__version__")]
            found = [f"{base}.{name}" for name in names]
        else:
            continue
        for name in found:
            if name.split(".")[0] == "dr_kfs":
                yield node.lineno, _existing(name, root)


def _existing(name: str, root: Path) -> str:
    """The module that `name` is or is taken from."""
    while name:
        path = root.joinpath(*name.split("."))
        if path.with_suffix(".py").is_file():
            return name
        if (path / "__init__.py").is_file():
            return f"{name}.__init__"
        name = name.rpartition(".")[0]
    raise AssertionError("no such module")


def unit_of(module: str) -> str:
    """The longest prefix of a module that has a layer."""
    unit = module
    while unit not in RANKS:
        unit, dot, _ = unit.rpartition(".")
        assert dot, f"{module} has no layer: give it one in LAYERS"
    return unit


def wrong_imports(root: Path) -> list[str]:
    """Imports of dr_kfs under `root` that run from right to left."""
    wrong = []
    for path in sorted((root / "dr_kfs").rglob("*.py")):
        module = module_name(path, root)
        unit = unit_of(module)
        for line, imported in imported_modules(path, root):
            other = unit_of(imported)
            allowed = other in ONLY[unit] if unit in ONLY else RANKS[other] < RANKS[unit]
            if other != unit and not allowed:
                wrong.append(f"{path.relative_to(root)}:{line} {unit} must not import {imported}")
    return wrong


def run_python(code: str) -> str:
    """Output of a fresh interpreter, both streams."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class TestImport:
    def test_loads_nothing_heavy_and_prints_nothing(self):
        code = f"import sys, dr_kfs; print(sorted(set({HEAVY}) & set(sys.modules)))"
        assert run_python(code) == "[]\n"

    def test_sets_no_global_state(self):
        code = """
import logging, os, random, torch, warnings
import numpy as np
def state():
    return (
        torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.initial_seed(),
        torch.random.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()), np.geterr(),
        list(warnings.filters), logging.root.level, list(logging.root.handlers), dict(os.environ),
    )
before = state()
import dr_kfs
print([i for i, (old, new) in enumerate(zip(before, state(), strict=True)) if old != new])
"""
        assert run_python(code) == "[]\n"


class TestTypeChecking:
    def test_calls_into_the_library_are_checked(self):
        """The import hook of conftest.py is at work."""
        with pytest.raises(jaxtyping.TypeCheckError):
            weights_fingerprint(3)  # pyright: ignore[reportArgumentType]


class TestImportOrder:
    def test_of_the_package(self):
        assert wrong_imports(REPOSITORY) == []

    @pytest.mark.parametrize(
        ("module", "statement"),
        [
            ("geometry/meshes.py", "from dr_kfs.rendering.cameras import Cameras"),
            ("geometry/meshes.py", "from dr_kfs import weights"),
            ("geometry/meshes.py", "def f():\n    import dr_kfs.cli"),
            ("geometry/meshes.py", "from ..rendering import cameras"),
            ("rendering/cameras.py", "from dr_kfs import Meshes"),
            ("datasets/procedural.py", "from dr_kfs.weights import load_weights"),
            ("losses/chamfer.py", "from dr_kfs.losses import hybrid"),
            ("losses/chamfer.py", "from . import HybridLoss"),
            ("drkfs.py", "from dr_kfs.losses.hybrid import HybridLoss"),
            ("training/train.py", "from dr_kfs.cli import main"),
        ],
    )
    def test_catches(self, tmp_path: Path, module: str, statement: str):
        _tree(tmp_path)
        (tmp_path / "dr_kfs" / module).write_text(statement)
        assert len(wrong_imports(tmp_path)) == 1

    @pytest.mark.parametrize(
        ("module", "statement"),
        [
            (
                "geometry/meshes.py",
                "import torch\nfrom dr_kfs.geometry import io\nfrom dr_kfs import __version__",
            ),
            (
                "rendering/cameras.py",
                "from dr_kfs.geometry.meshes import Meshes\nfrom dr_kfs import geometry",
            ),
            ("losses/chamfer.py", "from dr_kfs.rendering.cameras import Cameras"),
            ("losses/hybrid.py", "from dr_kfs.drkfs import DRKFSLoss\nfrom dr_kfs.losses import chamfer"),
            ("losses/__init__.py", "from .hybrid import HybridLoss"),
            ("__init__.py", "from dr_kfs.losses import HybridLoss"),
            ("cli/__init__.py", "import dr_kfs\nfrom dr_kfs.training import train"),
        ],
    )
    def test_allows(self, tmp_path: Path, module: str, statement: str):
        _tree(tmp_path)
        (tmp_path / "dr_kfs" / module).write_text(statement)
        assert wrong_imports(tmp_path) == []

    def test_module_without_a_layer(self, tmp_path: Path):
        _tree(tmp_path)
        (tmp_path / "dr_kfs" / "attic.py").touch()
        with pytest.raises(AssertionError, match=r"dr_kfs\.attic has no layer"):
            wrong_imports(tmp_path)

    def test_private_modules_stay_private(self):
        """Kernels and oracles are for the library alone: not for the command line, nor for the examples."""
        cli = [path for path in SOURCES if "cli" in path.relative_to(REPOSITORY).parts[:2]]
        for path in cli + EXAMPLES:
            for line, imported in imported_modules(path, REPOSITORY):
                private = [part for part in imported.split(".") if part.startswith("_") and part != "__init__"]
                inside = any(imported.startswith(f"dr_kfs.cli.{part}") for part in private)
                assert inside or not private, f"{path}:{line} imports {imported}"


def _tree(root: Path) -> None:
    """An empty package with some of the real one's names."""
    single = [
        "drkfs",
        "rendering/cameras",
        "datasets/procedural",
        "training/train",
        "cli/__init__",
        "weights",
    ]
    for name in [*single, "geometry/meshes", "geometry/io", "losses/chamfer", "losses/hybrid"]:
        path = root / "dr_kfs" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        (path.parent / "__init__.py").touch()
    (root / "dr_kfs" / "__init__.py").touch()


class TestNames:
    @pytest.mark.parametrize("path", SOURCES + EXAMPLES, ids=lambda path: str(path.relative_to(REPOSITORY)))
    def test_file_is_short_and_named_after_something(self, path: Path):
        assert path.stem.strip("_") not in EMPTY_NAMES, "name it after what it holds"
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= MAX_LINES, f"{lines} lines: split it"

    @pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
    def test_all_is_literal_and_sorted(self, path: Path):
        """In every package that names something, and wherever else there is an `__all__`."""
        body = ast.parse(path.read_text(encoding="utf-8")).body
        values = [
            node.value
            for node in body
            if isinstance(node, ast.Assign) and any(ast.unparse(target) == "__all__" for target in node.targets)
        ]
        binds = any(isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.FunctionDef) for node in body)
        if not values:
            assert path.name != "__init__.py" or not binds, "a package says what it offers: add __all__"
            return
        names = ast.literal_eval(values[0])
        assert names == sorted(names, key=_isort_key)
        assert len(set(names)) == len(names)


def _isort_key(name: str) -> tuple[int, str]:
    """The order that ruff's RUF022 asks for: CONSTANTS, then Classes, then functions."""
    return (0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2), name
