"""A user's own distance: a Python function, found by "module:name" or "path/to/file.py:name"."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dr_kfs.audit.distances import DISTANCES, Distance, as_distance, make_distance

__all__ = ["load_distance"]


def load_distance(spec: str, *, device: str = "cpu") -> Distance:
    """A distance by its built-in name, or your own by where it is.

        "drkfs"                          one of `DISTANCES`
        "my_package.metrics:distance"    a module, also of the working directory
        "path/to/file.py:distance"       a file

    What stands there may be a function `(predicted: Meshes, target: Meshes) -> float`, a `DRKFSLoss` of any
    settings, or an object with `name`, `prepare`, `distance` and `settings` (a `Distance`).

    Raises:
        ValueError: an unknown name, no such file, one that fails as it is imported, or nothing of that name in it.
        ImportError: no such module.
        TypeError: what stands there is none of these.
    """
    if spec in DISTANCES or ":" not in spec:
        return make_distance(spec, device=device)
    place, _, attribute = spec.rpartition(":")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_module(place)
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise ValueError(f'{spec}: {place} has no "{attribute}".')
        value = getattr(value, part)
    source = getattr(module, "__file__", None)
    fingerprint = None if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()[:12]
    return as_distance(value, name=spec, device=device, fingerprint=fingerprint)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file to take a distance from.")
    found = importlib.util.spec_from_file_location(f"_audited_{path.stem}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # dataclasses look their module up there
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        with _import_errors(str(path)):
            found.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def _from_module(name: str) -> ModuleType:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        with _import_errors(name):
            return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


@contextlib.contextmanager
def _import_errors(place: str) -> Iterator[None]:
    """What a user's module raises as it is imported, with its name."""
    try:
        yield
    except ImportError:
        raise  # it names the module that is missing
    except (Exception, SystemExit) as error:
        raise ValueError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
