from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from dr_kfs.audit.edits import EDITS, select_edits
from dr_kfs.audit.targets import NotApplicableError, target_shape


class TestEdits:
    @pytest.mark.parametrize("name", [name for name in EDITS if not name.startswith("limbs-")])
    def test_gives_one_finite_mesh_and_always_the_same(self, name):
        edit = EDITS[name]
        shape = target_shape("chair", 10_004, edit.variant)
        assert shape is not None
        first, again = (edit.apply(shape, edit.strengths[-1]) for _ in range(2))
        assert len(first) == 1
        assert torch.isfinite(first.vertices).all()
        assert torch.equal(first.vertices, again.vertices)
        assert torch.equal(first.faces, again.faces)
        whole = shape.to_meshes()
        same = first.vertices.shape == whole.vertices.shape and torch.equal(first.vertices, whole.vertices)
        assert not same or not torch.equal(first.faces, whole.faces)

    def test_say_what_they_do(self):
        for name, edit in EDITS.items():
            assert edit.name == name
            assert edit.about
            assert edit.unit

    def test_bars_down_is_bars_up_reversed(self, barred):
        up, down = (EDITS[name].apply(barred, 5.0).vertices.double() for name in ("bars-up", "bars-down"))
        np.testing.assert_allclose((up + down) / 2, barred.to_meshes().vertices.double(), atol=1e-6)

    def test_what_a_shape_lacks(self, cube):
        with pytest.raises(NotApplicableError):
            EDITS["part-removed"].apply(cube, 1.0)

    def test_strengths_must_ascend(self):
        with pytest.raises(ValueError, match="ascending order"):
            dataclasses.replace(EDITS["noise"], strengths=(0.2, 0.1))

    def test_labels(self):
        assert [EDITS["voxels"].label(strength) for strength in EDITS["voxels"].strengths] == [
            "1/128",
            "1/64",
            "1/32",
            "1/16",
        ]
        assert EDITS["bars-up"].label(2.5) == "2.5"


class TestSelectEdits:
    def test_order_is_the_registry_s(self):
        assert [edit.name for edit in select_edits(["noise", "bars-up"])] == ["bars-up", "noise"]
        assert select_edits(None) == list(EDITS.values())

    @pytest.mark.parametrize("names", [["nonsense"], ["noise", "nonsense"], []])
    def test_unknown(self, names):
        with pytest.raises(ValueError, match="Unknown edits"):
            select_edits(names)
