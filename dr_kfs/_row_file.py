"""JSON lines under a line with the settings: what a long run has finished, kept as it comes, so that it can go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from dr_kfs._settings_differences import settings_differences

Row = TypeVar("Row")


class RowFile(Generic[Row]):
    """A file of rows; a line that was cut off while it was written is dropped. Without a path nothing is kept.

    Args:
        path: the file; it is made if there is none.
        settings: JSON-able. The file must have been made with the same.
        form: name of what the file holds, in its first line.
        one: what messages call a row.
        others: what they call the rows of other settings.
        read: a row from what its line holds.
        write: the reverse.

    Raises:
        ValueError: the file has other settings, or is something else.
    """

    def __init__(
        self,
        path: Path | None,
        settings: dict[str, Any],
        *,
        form: str,
        one: str,
        others: str,
        read: Callable[[Any], Row],
        write: Callable[[Row], dict[str, Any]],
    ) -> None:
        self.path = path
        self.rows: list[Row] = []
        self._write = write
        if path is None:
            return
        header = json.dumps({"format": form, "settings": settings}, sort_keys=True)
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        except UnicodeDecodeError:
            raise ValueError(f"{path} is no file of {one}s: take another name.") from None
        whole = text[: text.rfind("\n") + 1]
        if not whole:
            if text and not header.startswith(text):
                raise ValueError(f"{path} is no file of {one}s: take another name.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(header + "\n", encoding="utf-8")
            return
        lines = whole.splitlines()
        _check_header(path, lines[0], json.loads(header), one=one, others=others)
        try:
            self.rows = [read(json.loads(line)) for line in lines[1:]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} has a line that is no {one}: {error}") from error
        if whole != text:
            path.write_text(whole, encoding="utf-8")

    def append(self, row: Row) -> None:
        """Add a row, on disk too."""
        self.rows.append(row)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self._write(row)) + "\n")


def _check_header(path: Path, line: str, ours: dict[str, Any], *, one: str, others: str) -> None:
    try:
        theirs = json.loads(line)
    except ValueError:
        theirs = None
    if not isinstance(theirs, dict) or theirs.get("format") != ours["format"]:
        raise ValueError(f"{path} is no file of {one}s: take another name.")
    if theirs == ours:
        return
    found = settings_differences(theirs["settings"], ours["settings"])
    raise ValueError(f"{path} holds {others} ({found}): take another file, or the settings that it was made with.")
