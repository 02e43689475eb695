from __future__ import annotations

import json
import logging
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dr_kfs.geometry import Meshes, load_meshes, save_mesh
from dr_kfs.geometry._text_formats import read_obj, read_off

trimesh = pytest.importorskip("trimesh")

# A pyramid: one quad and four triangles.
VERTICES = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 1], [0.5, 0.1, 0.3]], dtype=np.float32)
POLYGONS = [[0, 1, 2, 3], [0, 4, 1], [1, 4, 2], [2, 4, 3], [3, 4, 0]]
FACES = np.array([[0, 1, 2], [0, 2, 3], *POLYGONS[1:]])
WRITABLE = ["glb", "obj", "off", "ply", "stl"]


def pyramid() -> Meshes:
    return Meshes.from_list([torch.from_numpy(VERTICES)], [torch.from_numpy(FACES)])


def face_set(meshes: Meshes) -> set[tuple[tuple[float, ...], ...]]:
    """The triangles, whatever the order of the vertices, of the faces and of the corners."""
    return {tuple(sorted(map(tuple, corners))) for corners in meshes.face_vertices().tolist()}


def obj() -> str:
    lines = [f"v {x} {y} {z}" for x, y, z in VERTICES]
    return "\n".join([*lines, *(f"f {' '.join(str(i + 1) for i in face)}" for face in POLYGONS), ""])


def off() -> str:
    lines = ["OFF", "5 5 0", *(f"{x} {y} {z}" for x, y, z in VERTICES)]
    return "\n".join([*lines, *(f"{len(face)} {' '.join(map(str, face))}" for face in POLYGONS), ""])


def ply(kind: str = "ascii", faces: list[list[int]] = POLYGONS) -> bytes:
    header = (
        f"ply\nformat {kind} 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if kind == "ascii":
        rows = [*VERTICES.tolist(), *([len(face), *face] for face in faces)]
        return header + "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()
    order = "<" if "little" in kind else ">"
    blobs = [struct.pack(f"{order}B{len(face)}i", len(face), *face) for face in faces]
    return header + VERTICES.astype(f"{order}f4").tobytes() + b"".join(blobs)


def every_file() -> dict[str, bytes]:
    mesh = trimesh.Trimesh(VERTICES, FACES, process=False)
    triangles = FACES.tolist()
    return {
        "a.obj": obj().encode(),
        "a.off": off().encode(),
        "ascii.ply": ply(),
        "little.ply": ply("binary_little_endian", triangles),
        "big.ply": ply("binary_big_endian", triangles),
        "binary.stl": mesh.export(file_type="stl"),
        "ascii.stl": mesh.export(file_type="stl_ascii").encode(),
        "a.glb": mesh.export(file_type="glb"),
    }


FILES = every_file()


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


class TestLoadMeshes:
    @pytest.mark.parametrize("name", FILES)
    def test_every_format(self, tmp_path: Path, name: str) -> None:
        path = write(tmp_path, name, FILES[name])
        meshes = load_meshes(path)
        assert len(meshes) == 1
        assert meshes.dtype == torch.float32
        assert face_set(meshes) == face_set(pyramid())
        assert len(meshes.vertices) == (18 if name.endswith("stl") else 5)
        assert load_meshes(str(path), dtype=torch.float64).dtype == torch.float64

    def test_capital_suffix(self, tmp_path: Path) -> None:
        assert len(load_meshes(write(tmp_path, "A.OBJ", obj())).faces) == 6

    def test_several(self, tmp_path: Path) -> None:
        paths = [write(tmp_path, name, data) for name, data in FILES.items()]
        assert load_meshes(paths).face_counts == (6,) * len(FILES)

    def test_gltf_with_a_buffer_beside_it(self, tmp_path: Path) -> None:
        mesh = trimesh.Trimesh(VERTICES, FACES, process=False)
        for name, data in trimesh.Scene(mesh).export(file_type="gltf").items():
            write(tmp_path, name, data)
        assert face_set(load_meshes(tmp_path / "model.gltf")) == face_set(pyramid())
        for buffer in tmp_path.glob("*.bin"):
            buffer.unlink()
        with pytest.raises(ValueError, match=r"model\.gltf: expected a triangle mesh as GLTF"):
            load_meshes(tmp_path / "model.gltf")

    def test_scene_transforms_are_applied(self, tmp_path: Path) -> None:
        scene = trimesh.Scene()
        mesh = trimesh.Trimesh(VERTICES, FACES, process=False)
        for step in (0, 10):
            scene.add_geometry(mesh, transform=trimesh.transformations.translation_matrix([step, 0, 0]))
        meshes = load_meshes(write(tmp_path, "a.glb", scene.export(file_type="glb")))
        assert meshes.face_counts == (12,)
        assert meshes.vertices.amax(0).tolist() == [11, pytest.approx(0.1), 1]

    def test_material_files_are_not_opened(self, tmp_path: Path) -> None:
        text = "mtllib missing.mtl\nusemtl wood\n" + obj()
        assert len(load_meshes(write(tmp_path, "a.obj", text)).faces) == 6

    def test_ply_is_not_split_along_texture_seams(self, tmp_path: Path) -> None:
        header, body = ply().decode().split("end_header\n")
        header += "property list uchar float texcoord\nend_header\n"
        lines = body.splitlines()
        lines[5:] = [f"3 0 1 2 6 .{i} .2 .3 .4 .5 .6" for i in range(5)]
        meshes = load_meshes(write(tmp_path, "a.ply", header + "\n".join(lines) + "\n"))
        assert len(meshes.vertices) == 5

    def test_real_files(self, real_data: Path) -> None:
        paths = sorted(path for path in real_data.rglob("*") if path.suffix in (".glb", ".obj", ".ply"))
        meshes = load_meshes(paths)
        assert len(meshes) == len(paths) > 0
        assert min(meshes.face_counts) > 100

    def test_obj_vertices_are_those_of_the_file(self, real_data: Path) -> None:
        path = real_data / "common" / "spot.obj"
        count = sum(line.startswith("v ") for line in path.read_text().splitlines())
        assert len(load_meshes(path).vertices) == count


class TestDamagedFiles:
    def check(self, path: Path) -> str:
        with pytest.raises(ValueError, match="expected") as caught:
            load_meshes(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: expected a")
        assert "\n" not in message
        return message

    @pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("obj")])
    def test_truncated_anywhere(self, tmp_path: Path, name: str) -> None:
        data = FILES[name].rstrip() if b"\0" not in FILES[name] else FILES[name]
        # All but the last byte of ASCII: "3 4 0" cut to "3 4" is seen, a last number cut short is not.
        step = max(1, len(data) // 150)
        for size in range(0, len(data), step):
            self.check(write(tmp_path, name, data[:size]))

    def test_truncated_obj(self, tmp_path: Path) -> None:
        text = obj()
        for size in range(text.index("f 1") + len("f 1 2")):
            self.check(write(tmp_path, "a.obj", text[:size]))

    @pytest.mark.parametrize("suffix", ["glb", "gltf", "obj", "off", "ply", "stl"])
    @pytest.mark.parametrize(
        "data",
        [b"", b"\n", b"hello\n", bytes(range(256)) * 4, b"\xff\xfe" + "v 0 0 0".encode("utf-16-le"), b"{}", b"[]"],
        ids=["empty", "blank", "text", "binary", "utf-16", "object", "array"],
    )
    def test_no_mesh_at_all(self, tmp_path: Path, suffix: str, data: bytes) -> None:
        self.check(write(tmp_path, f"a.{suffix}", data))

    @given(st.sampled_from(sorted(FILES)), st.data())
    def test_any_byte_changed(self, tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
        content = bytearray(FILES[name])
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path = write(tmp_path_factory.mktemp("changed"), name, bytes(content))
        try:
            meshes = load_meshes(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: expected a")  # noqa: PT017 - either outcome is right
        else:
            assert meshes.vertices.isfinite().all()

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"none\.obj: expected a mesh file, got no such file"):
            load_meshes(tmp_path / "none.obj")
        with pytest.raises(ValueError, match="at least one mesh file"):
            load_meshes([])

    def test_directory_and_suffix(self, tmp_path: Path) -> None:
        assert "got a directory" in self.check(tmp_path)
        assert "got .txt" in self.check(write(tmp_path, "a.txt", obj()))
        assert "no suffix" in self.check(write(tmp_path, "a", obj()))

    def test_point_clouds(self, tmp_path: Path) -> None:
        points = trimesh.PointCloud(VERTICES)
        assert "PointCloud" in self.check(write(tmp_path, "a.ply", points.export(file_type="ply")))
        assert "PointCloud" in self.check(write(tmp_path, "a.glb", points.scene().export(file_type="glb")))
        vertices_only = obj().split("f ")[0]
        assert "5 vertices and no faces" in self.check(write(tmp_path, "a.obj", vertices_only))
        assert "5 vertices and no faces" in self.check(
            write(tmp_path, "a.off", off().split("4 0")[0].replace("5 5 0", "5 0 0"))
        )

    @pytest.mark.parametrize("name", ["a.obj", "a.off", "ascii.ply"])
    @pytest.mark.parametrize("bad", ["nan", "inf", "1e39"])
    def test_vertices_that_are_not_finite(self, tmp_path: Path, name: str, bad: str) -> None:
        data = FILES[name].replace(b"0.5", bad.encode())
        assert data != FILES[name]
        message = self.check(write(tmp_path, name, data))
        assert "finite" in message or "within" in message

    @pytest.mark.parametrize("name", ["a.obj", "a.off", "ascii.ply"])
    def test_index_out_of_range(self, tmp_path: Path, name: str) -> None:
        last = FILES[name].rstrip().splitlines()[-1]
        self.check(write(tmp_path, name, FILES[name].replace(last, b"f 1 2 77" if "obj" in name else b"3 0 1 77")))

    def test_mixed_binary_ply_says_what_to_do(self, tmp_path: Path) -> None:
        assert "triangulate it" in self.check(write(tmp_path, "a.ply", ply("binary_little_endian")))

    def test_compressed_gltf(self, tmp_path: Path) -> None:
        tree = json.dumps({"asset": {"version": "2.0"}, "extensionsUsed": ["EXT_meshopt_compression"]})
        assert "EXT_meshopt_compression" in self.check(write(tmp_path, "a.gltf", tree))

    def test_quantized_gltf(self, tmp_path: Path) -> None:
        tree = {
            "asset": {"version": "2.0"},
            "accessors": [{"componentType": 5122, "normalized": True}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        }
        assert "KHR_mesh_quantization" in self.check(write(tmp_path, "a.gltf", json.dumps(tree)))

    def test_cause_is_chained_and_nothing_leaks(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        level = logging.getLogger("trimesh").level
        path = write(tmp_path, "a.ply", FILES["little.ply"][:-1])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(ValueError, match=r"a\.ply") as error:
                load_meshes(path)
        assert error.value.__cause__ is not None
        assert caught == []
        assert caplog.records == []
        assert capfd.readouterr() == ("", "")
        assert logging.getLogger("trimesh").level == level


class TestObj:
    def test_indices_textures_and_continuations(self) -> None:
        text = (
            "# pyramid\r\no part\r\nv 0 0 0 1.0\r\nv 1 0 0 # here\r\n  v 1 0 1\r\nvt 0 0\r\nvn 0 1 0\r\n"
            "f 1/1/1 2//1 \\\r\n 3/1\r\nl 1 2\r\ng other\r\nv\t5 5 5\r\nv 6 5 5\r\nv 5 6 5\r\nf -3 -2 -1\r\n"
        )
        vertices, faces = read_obj(text)
        assert len(vertices) == 6
        assert faces.tolist() == [[0, 1, 2], [3, 4, 5]]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("f 0 1 2", "line 5: a face refers to vertex 0, there are 3 so far"),
            ("f -4 1 2", "line 5: a face refers to vertex -4"),
            ("f 1 2 4", "line 5: a face refers to vertex 4, there are 3"),
            ("f 1 2", "line 5: a face needs 3 corners, got 2"),
            ("f a b c", "line 5: a face needs vertex numbers, got 'a'"),
            ("v 1 2", "line 5: a vertex needs 3 numbers, got '1 2'"),
        ],
    )
    def test_errors_have_line_numbers(self, line: str, message: str) -> None:
        text = f"v 0 0 0\nv 1 0 \\\n 0\nv 0 1 0\n{line}\nf 1 2 3\n"
        with pytest.raises(ValueError, match=message):
            read_obj(text)

    def test_polygons_are_fans(self) -> None:
        _, faces = read_obj("".join(f"v {i} {i * i} 0\n" for i in range(5)) + "f 1 2 3 4 5\n")
        assert faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4]]


class TestOff:
    @pytest.mark.parametrize("header", ["OFF\n4 1 0", "OFF4 1 0", "OFF 4 1 0", "COFF\n# note\n\n4 1", "STOFF\n4 1 0"])
    def test_headers(self, header: str) -> None:
        vertices, faces = read_off(f"{header}\n0 0 0 255 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3 0.5 0.5 0.5\n")
        assert vertices.shape == (4, 3)
        assert faces.tolist() == [[0, 1, 2], [0, 2, 3]]

    def test_points_and_lines_are_skipped(self) -> None:
        _, faces = read_off("OFF\n3 3 0\n0 0 0\n1 0 0\n1 1 0\n1 0\n2 0 1\n3 0 1 2\n")
        assert faces.tolist() == [[0, 1, 2]]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("OFF BINARY\n1 1 0\n", "numbers of vertices and faces are missing"),
            ("4OFF\n1 1 0\n", "not an ASCII OFF header"),
            ("OFF\n3 1 0\n0 0 0\n1 0 0\n1 1 0\n3 0 1\n", "face 0: 2 of 3 corners"),
            ("OFF\n3 1 0\n0 0 0\n1 0 0\n1 1 0\nx y z\n", "face 0: a face needs integers"),
        ],
    )
    def test_malformed(self, text: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            read_off(text)


class TestSaveMesh:
    @pytest.mark.parametrize("suffix", WRITABLE)
    def test_round_trip(self, tmp_path: Path, suffix: str) -> None:
        save_mesh(pyramid(), tmp_path / f"a.{suffix}")
        loaded = load_meshes(tmp_path / f"a.{suffix}")
        assert torch.equal(loaded.face_vertices(), pyramid().face_vertices())

    @pytest.mark.parametrize("suffix", WRITABLE)
    @pytest.mark.parametrize("size", [1e-12, 1e12])
    def test_any_size_keeps_its_digits(self, tmp_path: Path, suffix: str, size: float) -> None:
        meshes = pyramid().with_vertices(pyramid().vertices * size)
        save_mesh(meshes, tmp_path / f"a.{suffix}")
        assert torch.equal(load_meshes(tmp_path / f"a.{suffix}").face_vertices(), meshes.face_vertices())

    @pytest.mark.parametrize("suffix", ["obj", "off"])
    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_text_keeps_every_digit(self, tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
        meshes = pyramid().with_vertices(torch.rand(5, 3, dtype=torch.float64).to(dtype).requires_grad_())
        save_mesh(meshes, tmp_path / f"a.{suffix}")
        loaded = load_meshes(tmp_path / f"a.{suffix}", dtype=dtype)
        assert torch.equal(loaded.vertices, meshes.vertices)
        assert torch.equal(loaded.faces, meshes.faces)

    def test_obj_is_readable(self, tmp_path: Path) -> None:
        save_mesh(pyramid(), tmp_path / "a.obj")
        assert (tmp_path / "a.obj").read_text().splitlines()[4:6] == ["v 0.5 0.1 0.3", "f 1 2 3"]

    def test_rejects(self, tmp_path: Path) -> None:
        one = pyramid()
        with pytest.raises(ValueError, match=r"expected one mesh to save, got 2. Pick one: meshes\[0\]"):
            save_mesh(Meshes.cat([one, one]), tmp_path / "a.obj")
        with pytest.raises(ValueError, match=r"a\.gltf: expected a suffix of"):
            save_mesh(one, tmp_path / "a.gltf")
        with pytest.raises(ValueError, match="expected finite vertices"):
            save_mesh(one.with_vertices(one.vertices * float("nan")), tmp_path / "a.obj")
        with pytest.raises(ValueError, match="expected finite vertices within"):
            save_mesh(one.with_vertices(one.vertices.double() * 1e40), tmp_path / "a.ply")
        with pytest.raises(ValueError, match="with faces to save"):
            save_mesh(Meshes.from_list([one.vertices], [one.faces[:0]], allow_empty=True), tmp_path / "a.obj")
        assert list(tmp_path.iterdir()) == []
