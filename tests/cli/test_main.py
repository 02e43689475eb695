"""What all commands have in common: help, version, exit codes, errors in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

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

    @pytest.mark.parametrize("arguments", [["audit", "--list"], ["--version"]])
    def test_output_that_cannot_be_written_is_an_error(self, arguments):
        if not os.path.exists("/dev/full"):
            pytest.skip("no /dev/full")
        with open("/dev/full", "w") as full:
            done = run_process(arguments, full)
        assert (done.returncode, done.stderr) == (2, "error: [Errno 28] No space left on device\n")

    def test_output_that_nobody_reads(self):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as closed:
            done = run_process(["audit", "--list"], closed)
        assert (done.returncode, done.stderr) == (141, "")

    def test_a_warning_takes_one_line(self, dr_kfs_command, monkeypatch):
        def warns():
            for _ in range(2):
                warnings.warn("a\n b", stacklevel=1)
            raise ValueError("c")

        monkeypatch.setattr("dr_kfs.cli.doctor.examine", warns)
        assert dr_kfs_command("doctor").error == "warning: a b\nerror: c\n"

    def test_as_a_module(self):
        done = subprocess.run([sys.executable, "-m", "dr_kfs", "--version"], capture_output=True, text=True)
        assert done.stdout == f"dr-kfs {dr_kfs.__version__}\n"

    def test_every_option_is_explained(self):
        for command in app.registered_commands:
            assert command.callback is not None
            assert command.callback.__doc__


def run_process(arguments, stdout):
    """The command in a process of its own, buffered as in a user's pipe."""
    code = "import sys; from dr_kfs.cli import main; main(sys.argv[1:])"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)


def raising(error: BaseException):
    def function(*_: object, **__: object) -> None:
        raise error

    return function


def failing(run, monkeypatch, error: BaseException):
    """`dr-kfs doctor` with an error inside."""
    monkeypatch.setattr("dr_kfs.cli.doctor.examine", raising(error))
    return run("doctor")
