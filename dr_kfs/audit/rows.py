"""What an audit measures, one row per value, and the file that keeps them while it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from dr_kfs._row_file import RowFile
from dr_kfs.audit.targets import Variant

__all__ = ["FORMAT", "Row", "row_file"]

FORMAT = "dr_kfs.audit/1"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One value, or the reason why there is none."""

    family: str
    seed: int
    """Of the shape."""
    variant: Variant
    edit: str
    strength: float
    distance: str
    """Name of the distance; "" where the edit itself does not exist for the shape."""
    value: float | None
    skipped: str = ""
    """Why the shape has no such edit."""

    def __post_init__(self) -> None:
        if self.variant not in get_args(Variant) or (self.value is None) != bool(self.skipped):
            raise ValueError(f"A row has a known variant, and a value or a reason to have none, got {self}.")

    @property
    def shape(self) -> tuple[str, int]:
        """Family and seed: what is resampled."""
        return self.family, self.seed

    @property
    def key(self) -> tuple[str, int, str, str, float, str]:
        """What a row is about; a file has each at most once."""
        return self.family, self.seed, self.variant, self.edit, self.strength, self.distance


def row_file(path: Path | None, settings: dict[str, Any]) -> RowFile[Row]:
    """A JSON-lines file of rows, appended as they come; see `RowFile`."""
    return RowFile(
        path,
        settings,
        form=FORMAT,
        one="audit row",
        others="rows of another audit",
        read=lambda line: Row(**line),
        write=asdict,
    )
