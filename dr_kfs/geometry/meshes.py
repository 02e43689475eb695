"""Batches of triangle meshes of different sizes, packed into one vertex tensor and one face tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, SupportsIndex, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs.geometry import _packing as packing
from dr_kfs.geometry import _shape_types as shape_types
from dr_kfs.geometry._rows import rows_at

__all__ = ["Meshes"]


@final
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Meshes:
    """B triangle meshes of any sizes: a *packed* batch.

    Meshes differ in their numbers of vertices and faces, so (B, N, 3) would need padding. A packed batch puts
    them one after the other instead, and remembers where each begins. A triangle and a tetrahedron:

        vertices        (3 + 4, 3)  rows 0-2 are item 0's, rows 3-6 are item 1's
        faces           (1 + 4, 3)  row 0 is item 0's:     [0, 1, 2]
                                    rows 1-4 are item 1's: [3, 4, 5], ... and not [0, 1, 2], ...: they are
                                    rows of the packed `vertices`
        vertex_offsets  (0, 3, 7)   item b owns vertices[vertex_offsets[b] : vertex_offsets[b + 1]]
        face_offsets    (0, 1, 5)   item b owns faces[face_offsets[b] : face_offsets[b + 1]]

    One operation on `vertices` or `faces` then serves the whole batch: `meshes.vertices[meshes.faces]` are
    the corners of every face. `vertex_item()` and `face_item()` tell which mesh a row belongs to;
    `vertices_list()` and `faces_list()` undo the packing.

    Build one with `from_list`, `from_trimesh`, `from_pytorch3d` or `dr_kfs.geometry.as_meshes`: they validate. The
    constructor is for tensors that are packed already; it checks shapes and offsets, and trusts the values.

    A Meshes never changes: every method returns a new one, and tensors stay on the autograd graph. Results
    may share memory, so do not write to its tensors.
    """

    vertices: Float[Tensor, "N 3"]
    """Positions of the vertices of all items [world units], floating point."""
    faces: Int[Tensor, "F 3"]
    """Corners of every triangle: int64 rows of the packed `vertices`."""
    vertex_offsets: tuple[int, ...]
    """B + 1 first rows, 0 to N. Python integers: reading a size never waits for the GPU."""
    face_offsets: tuple[int, ...]
    """B + 1 first rows, 0 to F."""
    _topology: dict[str, Any] = field(default_factory=dict)
    # What depends on `faces` and offsets only, computed on demand and shared by every `with_vertices`.
    _finite_at: list[int] = field(init=False, default_factory=list)
    # How often the vertices had been changed in place when all were last found to be finite.

    def __post_init__(self) -> None:
        for name, tensor, offsets in (
            ("vertices", self.vertices, self.vertex_offsets),
            ("faces", self.faces, self.face_offsets),
        ):
            if tensor.ndim != 2 or tensor.shape[1] != 3:
                raise ValueError(f"Meshes needs packed {name} of shape (rows, 3), got {tuple(tensor.shape)}.")
            if offsets[:1] != (0,) or offsets[-1] != len(tensor) or list(offsets) != sorted(offsets):
                raise ValueError(
                    f"Meshes needs offsets of {name} that rise from 0 to {len(tensor)}, one more than there "
                    f"are items, got {packing.shorten(offsets)}."
                )
        if len(self.vertex_offsets) != len(self.face_offsets):
            raise ValueError(
                f"Meshes needs vertex and face offsets of one length, got {len(self.vertex_offsets)} and "
                f"{len(self.face_offsets)}."
            )
        if self.vertices.dtype not in packing.FLOAT_DTYPES or self.faces.dtype != torch.int64:
            raise ValueError(
                f"Meshes needs floating-point vertices and int64 faces, got {self.vertices.dtype} and "
                f"{self.faces.dtype}."
            )
        if self.vertices.device != self.faces.device:
            raise ValueError(
                f"Meshes needs its tensors on one device, got vertices on {self.vertices.device} and faces "
                f"on {self.faces.device}."
            )

    # ------------------------------------------------------------------------------------------ construction

    @classmethod
    def from_list(
        cls,
        vertices: Sequence[Tensor | np.ndarray],
        faces: Sequence[Tensor | np.ndarray],
        *,
        allow_empty: bool = False,
    ) -> Meshes:
        """A batch from one vertex and one face array per mesh.

        Args:
            vertices: B tensors or arrays (N_b, 3), finite, of one floating-point dtype, which is kept, and on
                one device. Gradients flow back to them.
            faces: B tensors or arrays (F_b, 3) of integers in [0, N_b): every item counts its own vertices
                from 0. Repeated corners (degenerate faces) and unreferenced vertices are fine.
            allow_empty: accept items without faces. Some losses are undefined on them.

        Raises:
            ValueError: an item is malformed; the message names the item, what was expected and what came.
            TypeError: an item is no tensor or array.
        """
        return cls(*packing.pack(vertices, faces, allow_empty=allow_empty, first_item=0))

    @classmethod
    def from_trimesh(
        cls,
        mesh: Any,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
        allow_empty: bool = False,
    ) -> Meshes:
        """A batch from a `trimesh.Trimesh` or `trimesh.Scene`, or a sequence of them: one item each.

        The meshes of a scene are moved to their places (every instance of them) and become one item; its
        point clouds, paths, cameras and lights are left out. A mirroring transform keeps the outside out.

        Raises:
            ValueError: an item is malformed, or a scene holds no mesh.
            TypeError: something is neither a Trimesh nor a Scene.
        """
        each_mesh = mesh if shape_types.is_plain_sequence(mesh) else [mesh]
        pairs = [shape_types.trimesh_arrays(each, item, dtype) for item, each in enumerate(each_mesh)]
        # Cast last: the checks see the numbers that came.
        meshes = cls.from_list([v for v, _ in pairs], [f for _, f in pairs], allow_empty=allow_empty)
        return meshes.to(device=device, dtype=dtype)

    @classmethod
    def from_pytorch3d(cls, meshes: Any, *, allow_empty: bool = False) -> Meshes:
        """A batch from a `pytorch3d.structures.Meshes`, on its device and on its autograd graph.

        Anything with `verts_list()` and `faces_list()` will do; textures are ignored.

        Raises:
            ValueError: an item is malformed.
            TypeError: the argument has no such methods.
        """
        if not shape_types.is_pytorch3d(meshes):
            raise TypeError(f"Expected an object with verts_list() and faces_list(), got {type(meshes).__name__}.")
        return cls.from_list(meshes.verts_list(), meshes.faces_list(), allow_empty=allow_empty)

    @classmethod
    def cat(cls, batches: Sequence[Meshes]) -> Meshes:
        """The items of several batches, in order, as one batch.

        Raises:
            ValueError: no batch, or batches on different devices or of different dtypes.
        """
        batches = list(batches)
        if not batches:
            raise ValueError("Meshes.cat needs at least one Meshes, got an empty sequence.")
        first = batches[0]
        for position, batch in enumerate(batches):
            if (batch.device, batch.dtype) != (first.device, first.dtype):
                raise ValueError(
                    f"Meshes.cat needs one device and dtype, got {first.device} {first.dtype} in batch 0 and "
                    f"{batch.device} {batch.dtype} in batch {position}. Convert with .to(device, dtype)."
                )
        if len(batches) == 1:
            return first
        starts = accumulate((len(batch.vertices) for batch in batches), initial=0)
        return cls(
            vertices=torch.cat([batch.vertices for batch in batches]),
            faces=torch.cat([batch.faces + start for batch, start in zip(batches, starts, strict=False)]),
            vertex_offsets=packing.offsets(count for batch in batches for count in batch.vertex_counts),
            face_offsets=packing.offsets(count for batch in batches for count in batch.face_counts),
        )

    # ------------------------------------------------------------------------------------------ conversions

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Meshes:
        """The batch on another device or with vertices of another float dtype; gradients flow back."""
        vertices = self.vertices.to(device=device, dtype=dtype)
        faces = self.faces.to(device=device)
        if vertices is self.vertices and faces is self.faces:
            return self
        topology = self._topology if faces is self.faces else {}
        return Meshes(vertices, faces, self.vertex_offsets, self.face_offsets, topology)

    def detach(self) -> Meshes:
        """The same shapes, cut from the autograd graph: a caller who asks for it treats them as constants."""
        return self.with_vertices(self.vertices.detach())

    def with_vertices(self, vertices: Float[Tensor, "N 3"]) -> Meshes:
        """The same faces over moved vertices.

        The way to deform a batch: what was derived from the faces (edges, say) is shared, not recomputed.
        Made for the inner loop of an optimisation, it does not look for NaN, which would wait for the GPU.

        Args:
            vertices: (N, 3) packed, on the device of this batch, of any floating-point dtype.

        Raises:
            ValueError: another shape, device or kind of numbers.
        """
        if vertices.shape != self.vertices.shape:
            raise ValueError(
                f"with_vertices needs packed vertices of shape {tuple(self.vertices.shape)} to go with the "
                f"{len(self.faces)} faces, got {tuple(vertices.shape)}."
            )
        return Meshes(vertices, self.faces, self.vertex_offsets, self.face_offsets, self._topology)

    # ------------------------------------------------------------------------------------------ items

    def __len__(self) -> int:
        return len(self.vertex_offsets) - 1

    def __iter__(self) -> Iterator[Meshes]:
        return iter(self.split())

    def __getitem__(self, index: SupportsIndex | slice | Sequence[SupportsIndex] | Tensor | np.ndarray) -> Meshes:
        """Some of the items, as a batch: an integer gives a batch of one.

        Args:
            index: an integer (negative counts from the end), a slice, a sequence or 1-D tensor of integers
                in any order and with repetitions, or a mask of B booleans.

        Raises:
            IndexError: no such item, or no such kind of index.
        """
        items = packing.item_numbers(index, len(self))
        if not items or items == list(range(items[0], items[-1] + 1)):
            first, last = (items[0], items[-1] + 1) if items else (0, 0)
            return self._contiguous(first, last)
        vertex_rows, vertex_offsets, vertex_shift = packing.gather(self.vertex_offsets, items, self.device)
        face_rows, face_offsets, _ = packing.gather(self.face_offsets, items, self.device)
        face_counts = [end - start for start, end in pairwise(face_offsets)]
        shift = packing.repeat(vertex_shift, face_counts, self.device)
        return Meshes(
            vertices=self.vertices[vertex_rows],
            faces=self.faces[face_rows] + shift[:, None],
            vertex_offsets=vertex_offsets,
            face_offsets=face_offsets,
        )

    def split(self) -> list[Meshes]:
        """B batches of one, which share this batch's memory."""
        return [self._contiguous(item, item + 1) for item in range(len(self))]

    def vertices_list(self) -> list[Float[Tensor, "_ 3"]]:
        """Vertices (N_b, 3) of each item."""
        return list(self.vertices.split(self.vertex_counts))

    def faces_list(self) -> list[Int[Tensor, "_ 3"]]:
        """Faces (F_b, 3) of each item, as rows of the item's own vertices: counted from 0 in every item."""
        split = self.faces.split(self.face_counts)
        return [faces - start for faces, start in zip(split, self.vertex_offsets, strict=False)]

    def vertex_item(self) -> Int[Tensor, " N"]:
        """The item in [0, B) that each packed vertex belongs to, int64."""
        return self.derived("vertex_item", lambda: self._item_of(self.vertex_counts))

    def face_item(self) -> Int[Tensor, " F"]:
        """The item in [0, B) that each packed face belongs to, int64."""
        return self.derived("face_item", lambda: self._item_of(self.face_counts))

    def face_vertices(self) -> Float[Tensor, "F 3 3"]:
        """Corners of every face: `[f, c]` is the position of corner c of face f."""
        return rows_at(self.vertices, self.faces)

    def derived(self, name: str, compute: Callable[[], Any]) -> Any:
        """What `compute()` returns, computed once for all batches with these faces (see `with_vertices`).

        Args:
            name: what it is kept under; one name, one meaning.
            compute: makes tensors from the faces and offsets only; there is no gradient.
        """
        if name not in self._topology:
            # Tensors made in inference mode cannot be saved for backward, and these outlive the call.
            with torch.inference_mode(False), torch.no_grad():  # functions of integers have no gradient
                self._topology[name] = compute()
        return self._topology[name]

    def check_finite(self) -> None:
        """Raise where a vertex is not finite: a network gave NaN, say, of which a loss could tell nothing.

        Raises:
            ValueError: names the item and its vertex.
        """
        vertices = self.vertices.detach()
        changes = [] if vertices.is_inference() else [vertices._version]  # an inference tensor counts nothing
        if vertices.numel() == 0 or (changes and changes == self._finite_at):
            return
        if math.isfinite(torch.linalg.vector_norm(vertices, ord=math.inf)):  # a GPU is waited for here
            self._finite_at[:] = changes
            return
        finite = vertices.isfinite().all(dim=1)
        row = int((~finite).nonzero()[0])
        item = int(self.vertex_item()[row])
        raise ValueError(
            f"item {item}: expected finite vertices, got {tuple(self.vertices[row].tolist())} at vertex "
            f"{row - self.vertex_offsets[item]} ({int((~finite).sum())} are not). Did the training diverge?"
        )

    @property
    def vertex_counts(self) -> tuple[int, ...]:
        """Number of vertices of each item."""
        return tuple(end - start for start, end in pairwise(self.vertex_offsets))

    @property
    def face_counts(self) -> tuple[int, ...]:
        """Number of faces of each item."""
        return tuple(end - start for start, end in pairwise(self.face_offsets))

    @property
    def device(self) -> torch.device:
        """Where vertices and faces live."""
        return self.vertices.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the vertices."""
        return self.vertices.dtype

    def __repr__(self) -> str:
        return (
            f"Meshes({len(self)} item{'' if len(self) == 1 else 's'}, {len(self.vertices)} vertices, "
            f"{len(self.faces)} faces, {str(self.dtype).removeprefix('torch.')}, {self.device})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and files leave the derived tensors behind.
        return Meshes, (self.vertices, self.faces, self.vertex_offsets, self.face_offsets)

    # ------------------------------------------------------------------------------------------ private

    def _item_of(self, counts: Sequence[int]) -> Tensor:
        return packing.repeat(torch.arange(len(counts)), counts, self.device)

    def _contiguous(self, first: int, last: int) -> Meshes:
        vertex_start, face_start = self.vertex_offsets[first], self.face_offsets[first]
        faces = self.faces[face_start : self.face_offsets[last]]
        return Meshes(
            vertices=self.vertices[vertex_start : self.vertex_offsets[last]],
            faces=faces - vertex_start if vertex_start else faces,
            vertex_offsets=tuple(offset - vertex_start for offset in self.vertex_offsets[first : last + 1]),
            face_offsets=tuple(offset - face_start for offset in self.face_offsets[first : last + 1]),
        )


def expect_meshes(value: Any) -> None:
    """Raise a `TypeError` on something other than `Meshes`, with the way to them."""
    if not isinstance(value, Meshes):
        raise TypeError(f"Expected Meshes, got {type(value).__name__}. Convert it: dr_kfs.as_meshes(shape).")
