"""The ablation of DR-KFS's settings: every setting makes a loss, and the command ends, resumes and writes its table."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from dr_kfs.datasets import generate

ARGUMENTS = ["--settings", "base,radius-0", "--families", "chair", "--shapes", "1"]


@pytest.fixture
def ablation(modules_of, monkeypatch: pytest.MonkeyPatch):
    """The module, whose folder is no package, at one view and two edits."""
    module = modules_of("experiments")("ablation")
    monkeypatch.setattr(module, "VIEWS", (7,))
    monkeypatch.setattr(module, "EDITS", {"bars-up": (5.0,), "bars-removed": (1.0,)})
    return module


def run(module, *arguments: str):
    import typer

    app = typer.Typer()
    app.command()(module.main)
    return CliRunner().invoke(app, [*arguments])


def test_every_setting_but_the_base_changes_the_distance(ablation):
    chair, other = (generate("chair", seed).to_meshes() for seed in (10_000, 10_001))
    values = {}
    for name, make in ablation.variants("default").items():
        values[name] = make()(chair, other).item()
    assert all(torch.tensor(value).isfinite() for value in values.values())
    same = {name for name, value in values.items() if value == values["base"]}
    assert same == {"base", "scales-2-4"}  # the scales of the default


def test_writes_the_table_and_goes_on(ablation, tmp_path):
    rows, table = tmp_path / "rows.jsonl", tmp_path / "table.json"
    first = run(ablation, *ARGUMENTS, "--rows", str(rows), "--json", str(table))
    assert first.exit_code == 0, first.output
    kept, written = rows.read_text(), json.loads(table.read_text())
    assert set(written["settings"]) == {"base", "radius-0"}
    again = run(ablation, *ARGUMENTS, "--rows", str(rows), "--json", str(table))
    assert again.exit_code == 0, again.output
    assert rows.read_text() == kept
    assert json.loads(table.read_text()) == written


@pytest.mark.parametrize(("option", "value"), [("--settings", "base,nonsense"), ("--preset", "nonsense")])
def test_unknown_names_are_an_error(ablation, option, value):
    result = run(ablation, option, value)
    assert result.exit_code == 2
    assert "nonsense" in result.output
