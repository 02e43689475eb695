from __future__ import annotations

import io
import json
import sys

import pytest
from rich.console import Console

from dr_kfs.audit.distances import FunctionDistance
from dr_kfs.audit.edits import select_edits
from dr_kfs.audit.picture import audit_picture, save_audit_picture
from dr_kfs.audit.report import edit_table, report_json, score_table
from dr_kfs.audit.run import AuditReport, audit


def spread(meshes) -> float:
    return float(meshes.vertices.std(0).norm())


@pytest.fixture(scope="module")
def report() -> AuditReport:
    distances = [
        FunctionDistance(lambda a, b: abs(spread(a) - spread(b)), name="[spread]"),
        FunctionDistance(lambda a, b: (a.vertices.mean(0) - b.vertices.mean(0)).norm(), name="mean"),
    ]
    edits = select_edits(["bars-up", "bars-down", "bars-removed", "translation", "voxels", "winding"])
    return audit(distances, families=["chair"], shapes_per_family=2, edits=edits)


def text(table) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


class TestTables:
    def test_scores(self, report):
        shown = text(score_table(report))
        ratio = report.scores["mean"].bars_ratio
        assert ratio is not None
        for part in ("[spread]", "mean", "2 shapes, validation split", f"{ratio.mean:.2f} [", "mean Spearman"):
            assert part in shown
        assert "Figure 2" not in shown, "no limb was edited"

    def test_edits(self, report):
        shown = text(edit_table(report))
        assert "1/128 to 1/16 sides" in shown
        assert "1.00 (100%)" in shown
        assert "winding" not in shown, "it is not graded"


class TestJson:
    def test_is_complete_and_finite(self, report):
        found = json.loads(json.dumps(report_json(report), allow_nan=False))
        assert found["format"] == "dr_kfs.audit/1"
        assert len(found["rows"]) == len(report.rows)
        scores = found["scores"]["mean"]
        assert scores["bars_share"]["count"] == 2
        assert scores["response"]["translation"]["5.0"]["mean"] > 0
        assert found["settings"]["families"] == ["chair"]


class TestPicture:
    def test_has_a_panel_per_edit_with_a_curve_per_distance(self, report):
        figure = audit_picture(report)
        panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
        for edit in report.edits:
            curves = panels[edit.name].lines
            assert len(curves) == 2
            response = report.scores["[spread]"].response[edit.name]
            assert curves[0].get_ydata() == pytest.approx([value.mean for value in response.values()])
            labels = [label.get_text() for label in panels[edit.name].get_xticklabels()]
            assert labels == [edit.label(strength) for strength in edit.strengths]
        assert "Table 5: removal / shift" in panels

    def test_file(self, report, tmp_path):
        path = tmp_path / "new" / "audit.png"
        save_audit_picture(report, path)
        assert path.stat().st_size > 10_000
        assert path.read_bytes().startswith(b"\x89PNG")

    def test_without_matplotlib(self, report, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ImportError, match=r'needs matplotlib: pip install "dr_kfs\[visual\]"') as raised:
            audit_picture(report)
        assert "\n" not in str(raised.value)
