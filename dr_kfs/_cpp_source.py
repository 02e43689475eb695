"""The bodies of the CPU kernels in C++, put together from their headers for Warp's compiler."""

from pathlib import Path

_ARITHMETIC = Path(__file__).parent / "rendering" / "kernels"


def cpp_source(folder: Path, *names: str, **constants: bool) -> str:
    """What stands in a function that Warp compiles: eight numbers at a time (`lanes.h`), then the files of a folder.

    Args:
        folder: of the files.
        names: of the files, in order.
        constants: known to all of them, at compile time.
    """
    # The pragma of fused.h may only stand first.
    head = [(_ARITHMETIC / name).read_text("utf-8") for name in ("fused.h", "lanes.h")]
    known = [f"const bool {name} = {str(value).lower()};\n" for name, value in constants.items()]
    return "".join([*head, *known, *((folder / name).read_text("utf-8") for name in names)])
