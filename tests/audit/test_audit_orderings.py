from __future__ import annotations

from dr_kfs.audit.edits import ANOTHER_SHAPE, EDITS, select_edits
from dr_kfs.audit.orderings import FORGIVABLE, labelled_orderings


class TestLabelledOrderings:
    def test_name_edits_and_strengths_that_exist(self):
        for label in labelled_orderings(select_edits(None)):
            for name, strength in (label.smaller, label.larger):
                if name != ANOTHER_SHAPE:
                    assert strength in EDITS[name].strengths
                    assert EDITS[name].variant == label.variant, "both sides are compared with one target"

    def test_never_contradict_each_other(self):
        labels = labelled_orderings(select_edits(None))
        pairs = {(label.smaller, label.larger) for label in labels}
        assert len(pairs) == len(labels)
        assert not pairs & {(larger, smaller) for smaller, larger in pairs}

    def test_paper_s(self):
        labels = labelled_orderings(select_edits(None))
        bars = [(label.smaller, label.larger) for label in labels if label.group == "bars"]
        assert bars == [((name, 5.0), ("bars-removed", 1.0)) for name in ("bars-up", "bars-down")]
        limbs = {label.smaller for label in labels if label.group == "limbs"}
        assert limbs == {(f"limbs-{change}", 1.0) for change in ("thickened", "lengthened", "shortened", "bent")}

    def test_forgivable_strengths_exist(self):
        for name, strengths in FORGIVABLE.items():
            assert set(strengths) <= set(EDITS[name].strengths)

    def test_only_of_the_edits_that_ran(self):
        labels = labelled_orderings(select_edits(["noise", "retriangulation"]))
        assert {label.group for label in labels} == {"graded", "another"}
        assert sum(label.group == "graded" for label in labels) == 6
