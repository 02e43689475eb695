"""Reads and writes the two text formats of CAD data sets, OBJ and OFF: positions and faces, nothing else.

Not through trimesh (5.2): its OBJ reader splits vertices along texture seams and between materials, counts
relative indices from the end of the file and takes index 0 for the first vertex; its OFF reader takes a
truncated file for a smaller mesh; its writers round to a fixed number of decimals, which flattens small
shapes.
"""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray]
"""Vertices (N, 3) float64 and triangles (F, 3) int64, counted from 0."""


def read_obj(text: str) -> Arrays:
    """The `v` and `f` lines of an OBJ file; polygons become fans of triangles.

    Vertices keep the order and number of the file. Texture coordinates, normals, materials, groups, lines and
    points are skipped.

    Raises:
        ValueError: a malformed line (the message has its number), or no faces.
    """
    positions: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    lines: list[int] = []  # of every triangle
    # A backslash continues a line. The line ends stay, for the numbers in messages to be right.
    rows = re.sub(r"\\[ \t]*\r?\n", "\x00", text).splitlines()
    number = 0
    for row in rows:
        number += 1
        words = row.replace("\x00", " ").split("#", 1)[0].split()
        if words and words[0] == "v":
            positions.append(_position(words[1:], f"line {number}"))
        elif words and words[0] == "f":
            corners = [_obj_index(word, len(positions), f"line {number}") for word in words[1:]]
            fan = _fan(corners, f"line {number}")
            triangles += fan
            lines += [number] * len(fan)
        number += row.count("\x00")
    vertices, faces = _arrays(positions, triangles)
    outside = (faces >= len(vertices)).any(axis=1).nonzero()[0]
    if len(outside):
        largest = faces[outside[0]].max() + 1
        raise ValueError(f"line {lines[outside[0]]}: a face refers to vertex {largest}, there are {len(vertices)}")
    return vertices, faces


def read_off(text: str) -> Arrays:
    """The vertices and faces of an ASCII OFF file, colours and normals skipped; polygons become fans.

    Also reads the ModelNet variant, with the counts on the first line (`OFF490 518 0`).

    Raises:
        ValueError: no OFF header, a malformed line, or fewer lines than the header announces.
    """
    rows = [words for line in text.splitlines() if (words := line.split("#", 1)[0].split())]
    header = re.fullmatch(r"(?:ST)?C?N?OFF(.*)", " ".join(rows[0]) if rows else "")
    if header is None:
        raise ValueError("the first line is not an ASCII OFF header")
    rows = [header[1].split(), *rows[1:]] if header[1].strip() else rows[1:]
    try:
        vertex_count, face_count = (int(word) for word in rows[0][:2])
    except (IndexError, ValueError):
        raise ValueError("the numbers of vertices and faces are missing") from None
    if len(rows) < 1 + vertex_count + face_count or min(vertex_count, face_count) < 0:
        raise ValueError(
            f"{len(rows) - 1} lines of data where the header announces {vertex_count} vertices and "
            f"{face_count} faces (truncated?)"
        )
    positions = [_position(words, f"vertex {row}") for row, words in enumerate(rows[1 : 1 + vertex_count])]
    triangles: list[tuple[int, int, int]] = []
    for row, words in enumerate(rows[1 + vertex_count : 1 + vertex_count + face_count]):
        try:
            corners = [int(word) for word in words]
            corners, length = corners[1 : 1 + corners[0]], corners[0]
        except ValueError:  # colours may be fractions: only the corners are integers
            corners, length = _leading_integers(words, f"face {row}")
        if len(corners) != length:
            raise ValueError(f"face {row}: {len(corners)} of {length} corners (truncated?)")
        if length > 2:  # one corner is a point, two are a line
            triangles += _fan(corners, f"face {row}")
    return _arrays(positions, triangles)


def obj_text(vertices: np.ndarray, faces: np.ndarray) -> str:
    """An OBJ file. Every digit of the vertices is kept."""
    rows = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    rows += [f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()]
    return "\n".join([*rows, ""])


def off_text(vertices: np.ndarray, faces: np.ndarray) -> str:
    """An OFF file. Every digit of the vertices is kept."""
    rows = ["OFF", f"{len(vertices)} {len(faces)} 0"]
    rows += [f"{x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    rows += [f"3 {a} {b} {c}" for a, b, c in faces.tolist()]
    return "\n".join([*rows, ""])


def _position(words: list[str], where: str) -> list[float]:
    try:
        x, y, z = (float(word) for word in words[:3])
    except ValueError:
        raise ValueError(f"{where}: a vertex needs 3 numbers, got {' '.join(words)!r}") from None
    return [x, y, z]


def _obj_index(word: str, count: int, where: str) -> int:
    """`12/3/4` is vertex 11, `-1` the last one so far."""
    try:
        index = int(word.split("/", 1)[0])
    except ValueError:
        raise ValueError(f"{where}: a face needs vertex numbers, got {word!r}") from None
    if index == 0 or index < -count:
        raise ValueError(f"{where}: a face refers to vertex {index}, there are {count} so far, counted from 1")
    return index - 1 if index > 0 else count + index


def _leading_integers(words: list[str], where: str) -> tuple[list[int], int]:
    try:
        length = int(words[0])
        return [int(word) for word in words[1 : 1 + length]], length
    except ValueError:
        raise ValueError(f"{where}: a face needs integers, got {' '.join(words)!r}") from None


def _fan(corners: list[int], where: str) -> list[tuple[int, int, int]]:
    if len(corners) < 3:
        raise ValueError(f"{where}: a face needs 3 corners, got {len(corners)}")
    return [(corners[0], second, third) for second, third in pairwise(corners[1:])]


def _arrays(positions: list[list[float]], triangles: list[tuple[int, int, int]]) -> Arrays:
    if not triangles:
        raise ValueError(f"{len(positions)} vertices and no faces")
    vertices = np.array(positions, dtype=np.float64).reshape(-1, 3)
    return vertices, np.array(triangles, dtype=np.int64)
