from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dr_kfs.audit.edits import ANOTHER_SHAPE, select_edits
from dr_kfs.audit.orderings import labelled_orderings
from dr_kfs.audit.rows import Row
from dr_kfs.audit.scores import DistanceScores, bootstrap_mean, score, spearman

EDITS = select_edits(None)


def rank_by_labels() -> dict[tuple[str, float], float]:
    """A value for every change that keeps all labels: the length of the longest chain of smaller ones."""
    labels = labelled_orderings(EDITS)
    values = {(edit.name, strength): 1.0 for edit in EDITS for strength in edit.strengths}
    values |= {(ANOTHER_SHAPE, step): 100.0 for step in (1.0, 2.0)}
    for _ in range(20):
        for label in labels:
            values[label.larger] = max(values[label.larger], values[label.smaller] + 1)
    return values


def rows_of(value: Callable[[str, float], float | None], shapes: int = 3, distance: str = "d") -> list[Row]:
    rows = []
    for variant in ("free", "barred", "limbed"):
        changes = [(edit.name, s) for edit in EDITS if edit.variant == variant for s in edit.strengths]
        for name, strength in [*changes, (ANOTHER_SHAPE, 1.0), (ANOTHER_SHAPE, 2.0)]:
            found = value(name, strength)
            for seed in range(shapes):
                rows.append(
                    Row(
                        family="chair",
                        seed=seed,
                        variant=variant,
                        edit=name,
                        strength=strength,
                        distance=distance if found is not None else "",
                        value=found,
                        skipped="" if found is not None else "not there",
                    )
                )
    return rows


def scores_of(value: Callable[[str, float], float | None]) -> DistanceScores:
    return score(rows_of(value), EDITS)["d"]


class TestScore:
    def test_perfect(self):
        values = rank_by_labels()
        found = scores_of(lambda name, strength: values[name, strength])
        assert found.ordering is not None
        assert (found.ordering.mean, found.ordering.low, found.ordering.count) == (1, 1, 3)
        for estimate in (found.bars_share, found.limbs_share, *found.monotonicity.values()):
            assert estimate is not None
            assert estimate.mean == pytest.approx(1)
        assert {estimate.mean for estimate in found.strictly_monotone.values()} == {1.0}
        assert set(found.invariance) == {"retriangulation", "winding"}
        assert found.invariance["winding"].mean == pytest.approx(1 / values[ANOTHER_SHAPE, 1.0])

    def test_reversed(self):
        values = rank_by_labels()
        found = scores_of(lambda name, strength: 1000 - values[name, strength])
        assert found.ordering is not None
        assert found.ordering.mean == 0
        assert {round(estimate.mean, 9) for estimate in found.monotonicity.values()} == {-1.0}

    def test_constant_is_chance(self):
        found = scores_of(lambda name, strength: 1.0)
        assert found.ordering is not None
        assert found.ordering.mean == 0.5
        assert found.bars_share is not None
        assert found.bars_share.mean == 0
        assert {estimate.mean for estimate in found.monotonicity.values()} == {0.0}
        assert {estimate.mean for estimate in found.response["noise"].values()} == {1.0}

    @pytest.mark.parametrize(
        ("up", "down", "removed", "ratio", "share"),
        [(0.2961, 0.3736, 0.2007, 0.54, 0), (0.0137, 0.0149, 0.0138, 0.93, 0), (0.0143, 0.0160, 0.0256, 1.60, 1)],
        ids=["MSE of pixels", "MSE of PoI maps", "DR-KFS"],
    )
    def test_table_5_of_the_paper(self, up, down, removed, ratio, share):
        values = {("bars-up", 5.0): up, ("bars-down", 5.0): down, ("bars-removed", 1.0): removed}
        found = scores_of(lambda name, strength: values.get((name, strength)))
        assert found.bars_ratio is not None
        assert found.bars_share is not None
        assert found.bars_ratio.mean == pytest.approx(ratio, abs=0.005)
        assert found.bars_share.mean == share
        assert found.limbs_share is None

    def test_shifts_that_no_view_shows_have_no_ratio(self):
        values = {("bars-up", 5.0): 0.0, ("bars-down", 5.0): 0.0, ("bars-removed", 1.0): 0.1}
        found = scores_of(lambda name, strength: values.get((name, strength)))
        assert found.bars_ratio is None
        assert found.bars_share is not None
        assert found.bars_share.mean == 1

    def test_figure_2_needs_two_other_changes(self):
        values = {("limbs-removed", 1.0): 2.0, ("limbs-bent", 1.0): 1.0}
        assert scores_of(lambda name, strength: values.get((name, strength))).limbs_share is None
        values["limbs-thickened", 1.0] = 1.6
        found = scores_of(lambda name, strength: values.get((name, strength)))
        assert found.limbs_ratio is not None
        assert found.limbs_ratio.mean == pytest.approx(1.25)

    def test_distances_are_kept_apart(self):
        rows = rows_of(lambda name, strength: 1.0) + rows_of(lambda name, strength: strength, distance="e")
        found = score(rows, EDITS)
        assert found["d"].monotonicity["noise"].mean == 0
        assert found["e"].monotonicity["noise"].mean == pytest.approx(1)

    def test_interval_is_over_shapes(self):
        """Half of the shapes right, half wrong: more pairs per shape must not narrow the interval."""
        good, bad = rows_of(lambda name, s: s, shapes=2), rows_of(lambda name, s: -s, shapes=4)
        rows = good + [row for row in bad if row.seed >= 2]
        share = score(rows, select_edits(["noise"]))["d"].strictly_monotone["noise"]
        assert (share.mean, share.low, share.high, share.count) == (0.5, 0.0, 1.0, 4)


class TestBootstrapMean:
    @given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
    def test_interval_contains_the_mean(self, values):
        found = bootstrap_mean(values)
        slack = 1e-9 + 0.15 * (max(values) - min(values))  # a few very skewed values
        assert found.mean == pytest.approx(float(np.mean(values)))
        assert found.low - slack <= found.mean <= found.high + slack
        assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9

    def test_covers_the_true_mean_about_as_often_as_it_says(self):
        stream = np.random.default_rng(0)
        found = [bootstrap_mean(stream.normal(size=40).tolist(), seed=k) for k in range(200)]
        assert np.mean([estimate.low <= 0 <= estimate.high for estimate in found]) == pytest.approx(0.94, abs=0.05)

    def test_narrows_and_repeats(self):
        values = np.random.default_rng(1).normal(size=400).tolist()
        widths = [bootstrap_mean(values[:n]).high - bootstrap_mean(values[:n]).low for n in (10, 400)]
        assert widths[1] < 0.4 * widths[0]
        assert bootstrap_mean(values) == bootstrap_mean(values)

    def test_nothing(self):
        with pytest.raises(ValueError, match="at least one value"):
            bootstrap_mean([])


class TestSpearman:
    def test_of_the_strength_itself_and_of_any_rising_curve(self):
        for edit in EDITS:
            assert all(a < b for a, b in pairwise(edit.strengths))
            if len(edit.strengths) > 1:
                assert spearman(edit.strengths, edit.strengths) == pytest.approx(1)
                assert spearman(edit.strengths, np.exp(edit.strengths).tolist()) == pytest.approx(1)
                assert spearman(edit.strengths, [-s for s in edit.strengths]) == pytest.approx(-1)

    def test_known_values(self):
        assert spearman([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]) == pytest.approx(0.8)
        assert spearman([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]) == 0
        assert spearman([1.0, 2.0, 3.0], [0.0, 0.0, 1.0]) == pytest.approx(3**0.5 / 2)
