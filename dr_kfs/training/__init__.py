"""Commands that make the weights, and their data; see `weights/README.md`."""

__all__: list[str] = []
