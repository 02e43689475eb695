from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from dr_kfs.audit.rows import Row, row_file

ROW = Row(family="chair", seed=1, variant="free", edit="noise", strength=0.1, distance="d", value=0.1 + 0.2)
SKIPPED = dataclasses.replace(ROW, distance="", value=None, skipped="no bars")
SETTINGS = {"seed": 0, "edits": {"noise": [0.1]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "rows.jsonl"
    file = row_file(path, SETTINGS)
    file.append(ROW)
    file.append(SKIPPED)
    return path


class TestRow:
    @pytest.mark.parametrize("changes", [{"value": None}, {"skipped": "why"}])
    def test_has_a_value_or_a_reason(self, changes):
        with pytest.raises(ValueError, match="a value or a reason"):
            dataclasses.replace(ROW, **changes)


class TestRowFile:
    def test_reads_what_it_wrote_to_the_last_bit(self, path):
        assert row_file(path, SETTINGS).rows == [ROW, SKIPPED]

    def test_a_line_cut_off_is_dropped(self, path):
        whole = path.read_text()
        path.write_text(whole + whole.splitlines()[-1][:25])
        file = row_file(path, SETTINGS)
        assert file.rows == [ROW, SKIPPED]
        file.append(dataclasses.replace(ROW, seed=2))
        assert len(row_file(path, SETTINGS).rows) == 3

    def test_a_header_cut_off_starts_anew(self, path):
        path.write_text(path.read_text()[:30])
        assert row_file(path, SETTINGS).rows == []
        assert row_file(path, SETTINGS).rows == []

    def test_other_settings_are_named(self, path):
        before = path.read_text()
        with pytest.raises(ValueError, match=r"holds rows of another audit \(seed: 0 there, 1 now\)"):
            row_file(path, {**SETTINGS, "seed": 1})
        assert path.read_text() == before

    @pytest.mark.parametrize("text", ["hello", "hello\n", "{}\n", '{"format": "other"}\n', "[1]\n"])
    def test_other_files_are_not_touched(self, path, text):
        path.write_text(text)
        with pytest.raises(ValueError, match="no file of audit rows"):
            row_file(path, SETTINGS)
        assert path.read_text() == text

    def test_a_damaged_line(self, path):
        path.write_text(path.read_text() + json.dumps({"family": "chair"}) + "\n")
        with pytest.raises(ValueError, match="a line that is no audit row"):
            row_file(path, SETTINGS)

    def test_without_a_path_rows_are_kept_in_memory(self):
        file = row_file(None, SETTINGS)
        file.append(ROW)
        assert file.rows == [ROW]
