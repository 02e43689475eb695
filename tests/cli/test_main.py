"""What all commands have in common: help, version, exit codes, errors in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dr_kfs
from dr_kfs.cli import app, main


class TestMain:
    def test_help_names_every_command(self, dr_kfs_command):
        outcome = dr_kfs_command("--help")
        assert outcome.code == 0
        assert all(name in outcome.output for name in ("compare", "render", "fit", "doctor"))

    def test_version(self, dr_kfs_command):
        outcome = dr_kfs_command("--version")
        assert (outcome.code, outcome.output) == (0, f"dr-kfs {dr_kfs.__version__}\n")

    @pytest.mark.parametrize("arguments", [["nonsense"], ["compare", "one.obj"], ["fit", "a.obj"], ["--nonsense"]])
    def test_wrong_usage(self, dr_kfs_command, arguments):
        outcome = dr_kfs_command(*arguments)
        assert outcome.code == 2
        assert "Usage" in outcome.error

    @pytest.mark.parametrize(
        "error", [ValueError("a\n  b"), TypeError("a b"), OSError("a b"), ImportError("a b"), FileNotFoundError("a b")]
    )
    def test_expected_errors_take_one_line(self, dr_kfs_command, monkeypatch, error):
        outcome = failing(dr_kfs_command, monkeypatch, error)
        assert (outcome.code, outcome.output, outcome.error) == (2, "", "error: a b\n")

    def test_an_error_without_words_is_named(self, dr_kfs_command, monkeypatch):
        assert failing(dr_kfs_command, monkeypatch, ValueError()).error == "error: ValueError\n"

    def test_ctrl_c(self, dr_kfs_command, monkeypatch):
        outcome = failing(dr_kfs_command, monkeypatch, KeyboardInterrupt())
        assert outcome.code == 130
        assert "Traceback" not in outcome.error

    def test_a_bug_shows_itself(self, monkeypatch):
        monkeypatch.setattr("dr_kfs.cli.doctor.examine", raising(ZeroDivisionError("bug")))
        with pytest.raises(ZeroDivisionError, match="bug"):
            main(["doctor"])

    def test_help_loads_no_backend(self):
        """Of what `dr_kfs` needs, only torch is loaded before a command runs."""
        code = """
import sys
from dr_kfs.cli import main
try:
    main(["--help"])
except SystemExit as end:
    heavy = {"warp", "kornia", "trimesh", "scipy", "skimage", "matplotlib", "PIL"} & set(sys.modules)
    print(end.code, heavy, file=sys.stderr)
"""
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
        assert done.stderr == "0 set()\n"

    def test_every_option_is_explained(self):
        for command in app.registered_commands:
            assert command.callback is not None
            assert command.callback.__doc__


def raising(error: BaseException):
    def function(*_: object, **__: object) -> None:
        raise error

    return function


def failing(run, monkeypatch, error: BaseException):
    """`dr-kfs doctor` with an error inside."""
    monkeypatch.setattr("dr_kfs.cli.doctor.examine", raising(error))
    return run("doctor")
