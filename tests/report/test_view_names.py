"""Views are called after where they look from, and shown in rows of one elevation."""

from __future__ import annotations

from dr_kfs import hemisphere_rig
from dr_kfs.report.view_names import view_names, view_rows


class TestViewNames:
    def test_of_the_rig(self):
        names = view_names(hemisphere_rig(), 25)
        assert names[0] == "0: az 0 el 0"
        assert names[3] == "3: az 135 el 0"
        assert names[12] == "12: az 180 el 30"
        assert names[24] == "24: top"

    def test_of_settings(self):
        assert view_names(hemisphere_rig()[[10]].settings(), 1) == ["0: az 90 el 30"]

    def test_of_unknown_cameras(self):
        assert view_names(None, 2) == ["0", "1"]
        assert view_names(hemisphere_rig(), 2) == ["0", "1"]


class TestViewRows:
    def test_of_the_rig(self):
        assert view_rows(hemisphere_rig(), 25) == [list(range(8)), list(range(8, 16)), list(range(16, 25))]

    def test_of_other_rigs(self):
        assert view_rows(hemisphere_rig()[[1, 9, 24]], 3) == [[0], [1, 2]]
        assert view_rows(hemisphere_rig()[[24]], 1) == [[0]]

    def test_of_unknown_cameras(self):
        assert view_rows(None, 20) == [list(range(9)), list(range(9, 18)), [18, 19]]
        assert view_rows(None, 10) == [list(range(9)), [9]]
