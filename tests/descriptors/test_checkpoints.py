"""Checkpoints of others: what is opened, and what is taken for a network's."""

import io
import pickle
from pathlib import Path

import pytest
import torch

from dr_kfs.descriptors.checkpoints import check_layout, read_checkpoint

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.num_batches_tracked": torch.tensor(7)}
SHAPES = {"a.weight": (2, 3)}


def saved(value, **options) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


class TestReadCheckpoint:
    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"epoch": 10, "state_dict": state}])
    def test_new_and_old_format_plain_and_wrapped(self, zipped, wrap):
        content = saved(wrap(STATE), _use_new_zipfile_serialization=zipped)
        found = read_checkpoint(content, name="x.pth")
        assert found.keys() == STATE.keys()
        assert all(torch.equal(found[key], STATE[key]) for key in STATE)

    def test_runs_no_code(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "exploded",))

        for content in (saved({"a": Bomb()}), pickle.dumps(Bomb())):
            with pytest.raises(ValueError, match=r"x\.pth \(\d+ bytes\) is not a checkpoint that holds only tensors"):
                read_checkpoint(content, name="x.pth")
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize("length", [0, 3, 100, -1, -100])
    @pytest.mark.parametrize("zipped", [True, False])
    def test_truncated(self, length, zipped):
        content = saved(STATE, _use_new_zipfile_serialization=zipped)
        content = content[:length]
        with pytest.raises(ValueError, match="or is truncated") as error:
            read_checkpoint(content, name="x.pth")
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("value", "found"),
        [([1, 2], "a list"), ({}, r"a dict with \[\]"), ({"lr": 1e-3, "state_dict": {}}, "a dict with")],
    )
    def test_no_state_dict(self, value, found):
        with pytest.raises(ValueError, match=f"x.pth is not a state dict.*it is {found}"):
            read_checkpoint(saved(value), name="x.pth")


class TestCheckLayout:
    def test_leaves_out_counters_and_gives_float32_in_order(self):
        tensors = {"b.num_batches_tracked": torch.tensor(1), "y": torch.ones(2).half(), "x": torch.zeros(1).double()}
        found = check_layout(tensors, {"x": (1,), "y": (2,)}, weights="w", network="N")
        assert list(found) == ["x", "y"]
        assert {tensor.dtype for tensor in found.values()} == {torch.float32}

    @pytest.mark.parametrize(
        ("tensors", "problem"),
        [
            ({}, r"'a\.weight' is missing"),
            ({**STATE, "c": torch.ones(1)}, "it has no 'c'"),
            ({"a.weight": torch.ones(3, 2)}, r"'a\.weight' is \(3, 2\), expected \(2, 3\)"),
            ({"a.weight": torch.full((2, 3), torch.nan)}, r"'a\.weight' has values that are not finite"),
        ],
    )
    def test_refuses(self, tensors, problem):
        with pytest.raises(ValueError, match=f'The weights "w" are not N\'s: {problem}'):
            check_layout(tensors, SHAPES, weights="w", network="N")
