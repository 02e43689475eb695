"""Reads meshes from files and writes them."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import torch

from dr_kfs.geometry import _shape_types as shape_types
from dr_kfs.geometry import _text_formats as text_formats
from dr_kfs.geometry.meshes import Meshes, expect_meshes
from dr_kfs.whole_files import check_suffix, written_whole

__all__ = ["load_meshes", "save_mesh"]

MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".off", ".ply", ".stl")
"""Formats that `load_meshes` reads."""
WRITABLE_SUFFIXES = (".glb", ".obj", ".off", ".ply", ".stl")
"""Formats that `save_mesh` writes."""

PathLike = str | os.PathLike[str]


def load_meshes(
    paths: PathLike | Sequence[PathLike],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Meshes:
    """Meshes from files: OBJ, OFF, PLY, STL, GLB and glTF, by their suffix.

    One file is one item of the batch. All parts of a scene are moved to their places and joined, colours,
    textures and materials are skipped, polygons become triangles (fans: a concave polygon may fold), and
    neither vertices nor faces are merged or dropped. STL has no shared vertices: each face comes with three
    of its own.

    A file that is cut off is an error wherever the format tells. OBJ does not: cut between two lines, it is a
    smaller mesh.

    Args:
        paths: one file, or a sequence of B files, in any mix of formats.
        device: where the meshes go; the CPU by default.
        dtype: floating-point type of the vertices.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is no triangle mesh: truncated, empty, damaged, a point cloud, a directory or
            of another format, or with vertices that are not finite; the message names the file.
    """
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not files:
        raise ValueError("Expected at least one mesh file, got none.")
    return Meshes.cat([_load(Path(file), dtype) for file in files]).to(device=device)


def save_mesh(meshes: Meshes, path: PathLike) -> None:
    """Write one mesh to a file: OBJ, OFF, PLY, STL or GLB, by its suffix.

    OBJ and OFF keep every digit; PLY, STL and GLB hold float32.

    Args:
        meshes: a batch of one; `meshes[2]` is item 2 of a larger one.
        path: the file to write; one that is there is replaced.

    Raises:
        TypeError: something other than `Meshes`.
        ValueError: several meshes or none, no faces, an unknown suffix, or vertices that are not finite or
            beyond the range of the format.
    """
    expect_meshes(meshes)
    path = Path(path)
    if len(meshes) != 1:
        raise ValueError(f"{path}: expected one mesh to save, got {len(meshes)}. Pick one: meshes[0].")
    suffix = path.suffix.lower()
    check_suffix(path, WRITABLE_SUFFIXES)
    if len(meshes.faces) == 0:
        raise ValueError(f"{path}: expected a mesh with faces to save, got none.")
    # Detached: a file has no gradient.
    vertices, faces = meshes.vertices.detach().cpu().double().numpy(), meshes.faces.cpu().numpy()
    limit = np.finfo(np.float64 if suffix in (".obj", ".off") else np.float32).max
    if not (np.abs(vertices) <= limit).all():
        raise ValueError(f"{path}: expected finite vertices within +-{limit:.3g}, got others.")
    if suffix in (".obj", ".off"):
        if meshes.dtype != torch.float64:  # 0.1 and not 0.10000000149011612; reads back as the same float32
            short = [float(str(x)) for x in vertices.astype(np.float32).flat]
            vertices = np.array(short).reshape(-1, 3)
        write = text_formats.obj_text if suffix == ".obj" else text_formats.off_text
        with written_whole(path) as partial:
            partial.write_text(write(vertices, faces), encoding="utf-8", newline="\n")
        return
    import trimesh

    with _quiet_trimesh():
        mesh = trimesh.Trimesh(vertices=vertices, faces=faces, process=False)
        data: Any = mesh.export(file_type=suffix[1:])  # bytes in these three formats
    with written_whole(path) as partial:
        partial.write_bytes(data)


def gltf_buffers(path: Path) -> list[Path]:
    """The files that hold the numbers of a .gltf; none of other formats, or where it cannot be read."""
    if path.suffix.lower() != ".gltf":
        return []
    try:
        uris = [buffer.get("uri", "data:") for buffer in json.loads(path.read_text("utf-8")).get("buffers", [])]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
    files = [path.parent / unquote(str(uri)) for uri in uris if not str(uri).startswith("data:")]
    return [file for file in files if file.is_file()]


def _load(path: Path, dtype: torch.dtype) -> Meshes:
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a mesh file, got no such file.")
    if path.is_dir():
        raise ValueError(f"{path}: expected a mesh file, got a directory. Pass the files in it.")
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise ValueError(f"{path}: expected a file of {', '.join(MESH_SUFFIXES)}, got {suffix or 'no suffix'}.")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: expected a triangle mesh, got an empty file.")
    try:
        return _read(path, suffix, dtype)
    # Readers fail in every way there is on a damaged file: KeyError, struct.error, UnicodeDecodeError, ...
    except Exception as error:
        came = " ".join(str(error).removeprefix("item 0: ").split()).rstrip(".")
        if not isinstance(error, ValueError) or not came:
            came = f"{type(error).__name__}: {came}".rstrip(": ")
        if suffix == ".ply" and "unexpected length" in came:
            came = "truncated, or binary with polygons of several sizes, which is not supported: triangulate it"
        raise ValueError(
            f"{path}: expected a triangle mesh as {suffix[1:].upper()}, and could not read one: {came[:400]}."
        ) from error


def _read(path: Path, suffix: str, dtype: torch.dtype) -> Meshes:
    if suffix in (".obj", ".off"):
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        read = text_formats.read_obj if suffix == ".obj" else text_formats.read_off
        vertices, faces = read(text)
        shape_types.check_range(vertices, dtype, 0)
        return Meshes.from_list([vertices], [faces]).to(dtype=dtype)
    data = path.read_bytes()
    if suffix == ".ply":
        _check_ply(data)
    elif suffix == ".stl":
        _check_stl(data)
    else:
        _check_gltf(data)
    import trimesh

    # A PLY file with texture coordinates must not be cut along the texture's seams.
    options: dict[str, Any] = {"fix_texture": False} if suffix == ".ply" else {}
    with _quiet_trimesh():
        shape = trimesh.load(str(path), file_type=suffix[1:], process=False, skip_materials=True, **options)
    if not isinstance(shape, trimesh.Trimesh | trimesh.Scene):
        raise ValueError(f"got a {type(shape).__name__}, which has no faces")
    return Meshes.from_trimesh(shape, dtype=dtype)


@contextmanager
def _quiet_trimesh() -> Iterator[None]:
    """Silences trimesh: what matters of its log comes back as an error here."""
    logger = logging.getLogger("trimesh")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


# ------------------------------------------------- damage that trimesh reads as a smaller or another mesh


def _check_ply(data: bytes) -> None:
    """Raises on an ASCII file with fewer lines, or a shorter last line, than its header announces."""
    header, end, body = data.partition(b"end_header")
    if not data.startswith(b"ply") or not end:
        raise ValueError("no whole PLY header (truncated?)")
    if b"format ascii" not in header:
        return  # trimesh compares the length of a binary file
    elements: list[tuple[int, list[str]]] = []  # lines, and the properties of each
    for words in (line.split() for line in header.decode("utf-8", "replace").splitlines()):
        if words[:1] == ["element"]:
            elements.append((int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][1].append(words[1])
    lines = [words for line in body.splitlines() if (words := line.split())]
    expected = sum(count for count, _ in elements)
    if len(lines) < expected:
        raise ValueError(f"{len(lines)} lines of data where the header announces {expected} (truncated?)")
    used = [(count, kinds) for count, kinds in elements if count]
    if not used:
        return
    last, place = lines[expected - 1], 0
    for kind in used[-1][1]:
        place += 1 + (int(last[place]) if kind == "list" and place < len(last) else 0)
    if len(last) < place:
        raise ValueError(f"{len(last)} of {place} numbers in the last line (truncated?)")


def _check_stl(data: bytes) -> None:
    """Raises on a binary file of another length than its header says, and on an ASCII one without an end."""
    if len(data) >= 84 and len(data) == 84 + 50 * int.from_bytes(data[80:84], "little"):
        return
    text = data.lower()
    if text.rfind(b"endsolid") <= text.rfind(b"facet normal"):
        raise ValueError("neither a whole ASCII solid nor the bytes that a binary header announces (truncated?)")


def _check_gltf(data: bytes) -> None:
    """Raises on vertices that are stored in a way that trimesh reads as zeros or as other numbers."""
    text = data
    if data[:4] == b"glTF":
        if int.from_bytes(data[8:12], "little") > len(data):
            raise ValueError(
                f"{len(data)} bytes where the header announces {int.from_bytes(data[8:12], 'little')} (truncated?)"
            )
        text = data[20 : 20 + int.from_bytes(data[12:16], "little")]
    tree = json.loads(text.decode("utf-8"))
    used = {*tree.get("extensionsUsed", []), *tree.get("extensionsRequired", [])}
    packed = used & {"EXT_meshopt_compression", "KHR_meshopt_compression"}
    if "KHR_draco_mesh_compression" in used and importlib.util.find_spec("DracoPy") is None:
        packed |= {"KHR_draco_mesh_compression"}
    if packed:
        raise ValueError(f"geometry compressed with {', '.join(sorted(packed))}. Export it without")
    accessors = tree.get("accessors", [])
    for mesh in tree.get("meshes", []):
        for primitive in mesh.get("primitives", []):
            position = primitive.get("attributes", {}).get("POSITION")
            if position is not None and accessors[position].get("normalized"):
                raise ValueError("its vertices are normalised integers (KHR_mesh_quantization). Export it without")
