"""`dr-kfs fetch`: what goes wrong is one line, and leaves no cache behind."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sift"], 'Unknown published weights "sift"'),
        (["hardnet++", "--source", "missing.pth"], "There is no file missing.pth: expected HardNet++.pth"),
        (["hardnet++", "--source", "other.pth"], "expected git blob id 84aa9c230b7cd6d0a8a7d13b65b39cfb0f406eec"),
    ],
)
def test_bad_input(dr_kfs_command, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DR_KFS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "other.pth").write_bytes(b"not a checkpoint")
    outcome = dr_kfs_command("fetch", *arguments)
    assert outcome.code == 2
    assert message in outcome.error
    assert not (tmp_path / "cache").exists()
