from __future__ import annotations

import dataclasses

import pytest

from dr_kfs.audit.distances import ChamferDistance, FunctionDistance
from dr_kfs.audit.edits import ANOTHER_SHAPE, EDITS, Edit, select_edits
from dr_kfs.audit.run import audit
from dr_kfs.audit.splits import SPLITS, split_seeds

QUICK = select_edits(["bars-up", "bars-down", "bars-removed", "translation", "winding"])
STEPS = sum(len(edit.strengths) for edit in QUICK) + 2 * 2
"""Edited shapes of one chair: of two variants, each with two other shapes."""


class TestAudit:
    def test_every_row_is_there_once(self, counting):
        report = audit([counting], families=["chair"], shapes_per_family=2, edits=QUICK)
        assert len({row.key for row in report.rows}) == len(report.rows) == counting.measured == 2 * STEPS
        assert counting.prepared == 2 * 2
        assert {row.seed for row in report.rows} == set(split_seeds("validation", 2))
        found = {(row.edit, row.strength) for row in report.rows if row.edit != ANOTHER_SHAPE}
        assert found == {(edit.name, strength) for edit in QUICK for strength in edit.strengths}
        assert report.scores["counting"].monotonicity["translation"].mean == pytest.approx(1)
        assert report.scores["counting"].monotonicity["translation"].count == 2

    def test_splits(self, counting):
        for split in ("validation", "test"):
            report = audit(
                [counting], families=["table"], shapes_per_family=2, split=split, edits=select_edits(["winding"])
            )
            assert {row.seed for row in report.rows} <= set(SPLITS[split])

    def test_families_without_a_variant_and_shapes_without_an_edit(self, counting):
        def refuse(shape, strength):
            from dr_kfs.audit.targets import NotApplicableError

            raise NotApplicableError("not this one")

        never = Edit(name="never", apply=refuse, strengths=(1.0,), unit="", about="")
        report = audit([counting], families=["car"], shapes_per_family=1, edits=[*QUICK, never])
        assert [row.skipped for row in report.skipped] == ["not this one"]
        assert report.scores["counting"].bars_share is None
        assert {row.variant for row in report.rows} == {"free"}

    def test_progress(self, counting):
        told = []
        audit(
            [counting], families=["chair"], shapes_per_family=1, edits=QUICK, progress=lambda *state: told.append(state)
        )
        assert [done for done, _, _ in told] == list(range(STEPS + 1))
        assert {total for _, total, _ in told} == {STEPS}
        assert told[-1][2] == "done"
        assert "bars-removed 0.5 of chair" in "\n".join(text for _, _, text in told)

    def test_an_edit_of_one_s_own(self, counting):
        def squashed(shape, strength):
            return shape.scaled("*", (1.0, 1.0 - strength, 1.0), about="origin").to_meshes()

        own = Edit(name="squashed", apply=squashed, strengths=(0.1, 0.2, 0.4), unit="share", about="made lower")
        report = audit([counting], families=["lamp"], shapes_per_family=1, edits=[own])
        assert report.scores["counting"].strictly_monotone["squashed"].mean == 1

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"families": ["nonsense"]}, "needs different families of chair"),
            ({"families": []}, "needs different families"),
            ({"families": ["chair", "chair"]}, "needs different families"),
            ({"shapes_per_family": 0}, "has 1 to 10000"),
            ({"edits": []}, "needs edits of different names"),
            ({"edits": select_edits(["bars-up"]), "families": ["car"]}, "None of the edits"),
        ],
    )
    def test_bad_arguments(self, counting, changes, message):
        arguments = {"families": ["chair"], "shapes_per_family": 1, "edits": QUICK, **changes}
        with pytest.raises(ValueError, match=message):
            audit([counting], **arguments)

    def test_distances_of_one_name(self, counting):
        with pytest.raises(ValueError, match="distances of different names"):
            audit([counting, counting], families=["chair"], shapes_per_family=1, edits=QUICK)


class TestOwnDistance:
    @pytest.mark.parametrize(
        ("result", "error", "message"),
        [
            (float("nan"), ValueError, 'The distance "mine" must return a finite number, got nan on another-shape 1'),
            (float("inf"), ValueError, "of chair 1"),
            (None, TypeError, 'The distance "mine" failed on another-shape 1 of chair .*: expected one number'),
        ],
    )
    def test_no_finite_number_names_edit_and_shape(self, result, error, message):
        mine = FunctionDistance(lambda predicted, target: result, name="mine")
        with pytest.raises(error, match=message):
            audit([mine], families=["chair"], shapes_per_family=1, edits=QUICK)

    def test_its_own_errors_come_through(self):
        def broken(predicted, target):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            audit([FunctionDistance(broken, name="b")], families=["chair"], shapes_per_family=1, edits=QUICK)


class TestResume:
    def test_finished_rows_are_not_computed_again(self, counting, tmp_path):
        rows = tmp_path / "rows.jsonl"
        first = audit([counting], families=["chair"], shapes_per_family=1, edits=QUICK, rows=rows)
        calls = counting.measured
        again = audit([counting], families=["chair"], shapes_per_family=1, edits=QUICK, rows=rows)
        assert (counting.measured, counting.prepared) == (calls, 2)
        assert again == first

    def test_continues_where_it_stopped(self, counting, tmp_path):
        rows = tmp_path / "rows.jsonl"
        whole = audit([counting], families=["chair"], shapes_per_family=1, edits=QUICK)
        calls = counting.measured

        def stop(done, total, text):
            if done == 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            audit([counting], families=["chair"], shapes_per_family=1, edits=QUICK, rows=rows, progress=stop)
        assert counting.measured == calls + 5
        resumed = audit([counting], families=["chair"], shapes_per_family=1, edits=QUICK, rows=rows)
        assert counting.measured == 2 * calls
        assert resumed.rows == whole.rows

    def test_more_shapes_and_families_may_be_added(self, counting, tmp_path):
        rows = tmp_path / "rows.jsonl"
        audit([counting], families=["chair"], shapes_per_family=1, edits=QUICK, rows=rows)
        calls = counting.measured
        audit([counting], families=["chair"], shapes_per_family=2, edits=QUICK, rows=rows)
        assert counting.measured == 2 * calls
        small = audit([counting], families=["chair"], shapes_per_family=1, edits=QUICK, rows=rows)
        assert counting.measured == 2 * calls
        assert len(small.rows) == calls

    def test_other_settings_are_an_error(self, counting, tmp_path):
        rows = tmp_path / "rows.jsonl"
        arguments = {"families": ["chair"], "shapes_per_family": 1, "edits": QUICK, "rows": rows}
        audit([counting], **arguments)
        other = [*QUICK[:-1], dataclasses.replace(QUICK[-1], strengths=(0.7,))]
        for changes in ({"seed": 1}, {"split": "test"}, {"edits": other}):
            with pytest.raises(ValueError, match="rows of another audit"):
                audit([counting], **{**arguments, **changes})
        with pytest.raises(ValueError, match=r"distances\.chamfer: null there, .*distances\.counting: "):
            audit([ChamferDistance()], **arguments)

    def test_skipped_edits_are_not_tried_again(self, counting, tmp_path):
        tried = []

        def refuse(shape, strength):
            from dr_kfs.audit.targets import NotApplicableError

            tried.append(strength)
            raise NotApplicableError("no")

        edits = [EDITS["winding"], Edit(name="never", apply=refuse, strengths=(1.0,), unit="", about="")]
        for _ in range(2):
            audit([counting], families=["car"], shapes_per_family=1, edits=edits, rows=tmp_path / "rows.jsonl")
        assert tried == [1.0]
