"""The command line: `dr-kfs compare`, `evaluate`, `render`, `fit`, `audit`, `fetch`, `doctor`."""

from __future__ import annotations

import errno
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dr_kfs import __version__
from dr_kfs.cli.audit import audit_command
from dr_kfs.cli.compare import compare_command
from dr_kfs.cli.doctor import doctor_command
from dr_kfs.cli.evaluate import evaluate_command
from dr_kfs.cli.fetch import fetch_command
from dr_kfs.cli.fit import fit_command
from dr_kfs.cli.outputs import leave_stdout, warnings_as_lines
from dr_kfs.cli.render import render_command

__all__ = ["app", "main"]

EXPECTED = (ValueError, TypeError, OSError, ImportError)
"""What a user can cause and mend: bad input, missing files, missing extras. Anything else is a bug."""


class OneLineErrors(TyperGroup):
    """Ends with one line on stderr and exit code 2 on an expected error, 130 on Ctrl-C, 141 where nobody reads on."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with warnings_as_lines():
                result = super().invoke(ctx)
            sys.stdout.flush()  # here, where an error is still one
            return result
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except EXPECTED as error:
            raise typer.Exit(_reported(error)) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; of what is printed before a command is found, errors end in the same way."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            sys.exit(_reported(error))


def _reported(error: Exception) -> int:
    """Exit status of an expected error, after its line."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        leave_stdout()  # whoever reads the output has left, and files are written by now
        return 141
    message = " ".join(str(error).split()) or type(error).__name__
    print(f"error: {message}", file=sys.stderr)
    if isinstance(error, OSError):
        leave_stdout()  # where it is standard output that is full
    return 2


app = typer.Typer(
    name="dr-kfs",
    cls=OneLineErrors,
    help="A perceptual distance between 3D shapes: compare, render and fit meshes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dr-kfs {__version__}", flush=True)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """A perceptual distance between 3D shapes: compare, render and fit meshes."""


app.command("compare")(compare_command)
app.command("evaluate")(evaluate_command)
app.command("render")(render_command)
app.command("fetch")(fetch_command)
app.command("fit")(fit_command)
app.command("audit")(audit_command)
app.command("doctor")(doctor_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, of the process by default; always ends with SystemExit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no error
    app(args=arguments, prog_name="dr-kfs")
