"""Tables say what the comparison says."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from dr_kfs.report import comparison_table, distance_table, weights_text


def text_of(table: object) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


class TestComparisonTable:
    def test_total_and_worst_views(self, make_comparison):
        comparison = make_comparison()
        text = text_of(comparison_table(comparison, item=1, worst=2))
        lines = [line for line in text.splitlines() if re.search(r"\.\d{4}", line)]
        found = [[float(number) for number in re.findall(r"\d+\.\d{4}", line)] for line in lines]
        worst = comparison.worst_views(2)[1].tolist()
        forth, back = (side.per_view[1] for side in (comparison.predicted_to_target, comparison.target_to_predicted))
        expected = [(forth + back).sum(), forth.sum(), back.sum()]
        assert found[0] == pytest.approx([value.item() for value in expected], abs=1e-4)
        for row, view in zip(found[1:], worst, strict=True):
            assert row == pytest.approx([side[view].item() for side in (forth + back, forth, back)], abs=1e-4)
        assert "all 3" in lines[0]
        assert f"view {worst[0]}: " in lines[1]

    def test_more_views_than_there_are(self, make_comparison):
        text = text_of(comparison_table(make_comparison(), worst=50))
        assert all(name in text for name in ("view 0: az 0 el 0", "view 1: az 180 el 30", "view 2: top"))


class TestDistanceTable:
    def test_bars_are_in_proportion(self):
        text = text_of(distance_table({"half [red]": 0.25, "whole": 0.5, "none": 0.0}, title="DR-KFS", name="of"))
        bars = {line.split()[1]: line.count("█") for line in text.splitlines() if "0." in line}
        assert bars["whole"] == 2 * bars["half"] > 0
        assert bars["none"] == 0
        assert "half [red]" in text, "names are no markup"
        assert "0.2500" in text

    def test_nothing_to_show(self):
        assert "DR-KFS" in text_of(distance_table({}))
        assert "0.0000" in text_of(distance_table({"a": 0.0}))


class TestWeightsText:
    def test_names_and_fingerprints(self, make_comparison):
        expected = "detector ghh-[shapes] (0123456789ab), descriptor mine.Descriptor"
        assert weights_text(make_comparison().settings) == expected

    def test_of_unknown_stages(self):
        assert weights_text({}) == "detector unknown, descriptor unknown"
