"""One file from the network into memory, with a progress bar."""

from __future__ import annotations

import http.client
import urllib.request

TIMEOUT = 30.0
"""Of connecting and of each read, not of the whole [s]."""
MAX_BYTES = 64 * 2**20
"""More than any checkpoint that is fetched; whatever is larger is something else."""
CHUNK = 2**17


def read_url(url: str, *, progress: bool = True) -> bytes:
    """The content of an address.

    Args:
        url: http, https or file.
        progress: show a bar on the error stream.

    Raises:
        OSError: no network, no such file, a transfer that stalls, ends early or is larger than 64 MiB.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    request = urllib.request.Request(url, headers={"User-Agent": "dr_kfs"})
    received = bytearray()
    try:
        with (
            urllib.request.urlopen(request, timeout=TIMEOUT) as response,
            Progress(*columns, console=Console(stderr=True), disable=not progress) as bar,
        ):
            announced = response.headers.get("Content-Length")
            total = int(announced) if announced and announced.isdigit() else None
            task = bar.add_task(url.rpartition("/")[2], total=total)
            while chunk := response.read(CHUNK):
                received += chunk
                bar.update(task, completed=len(received))
                if len(received) > MAX_BYTES:
                    raise OSError(f"more than the {MAX_BYTES} bytes that were expected at most")
    except http.client.HTTPException as error:  # the only failure of a transfer that is no OSError
        raise OSError(f"{type(error).__name__}: {error}") from error
    if total is not None and len(received) != total:
        raise OSError(f"the transfer ended after {len(received)} of {total} bytes")
    return bytes(received)
