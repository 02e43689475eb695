"""Downloads, from a server on this machine."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from dr_kfs.descriptors import PUBLISHED, HardNetDescriptor, fetch_published
from dr_kfs.descriptors.download import read_url
from dr_kfs.descriptors.published import git_blob_id

NAME = "hardnet++"
CLOSED = "http://127.0.0.1:9/HardNet++.pth"


class Server:
    """Answers with what stands in `pages`: (body, announced length), or 404."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[bytes, int]] = {}
        self.asked: list[str] = []
        pages, asked = self.pages, self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                if self.path not in pages:
                    self.send_error(404)
                    return
                body, announced = pages[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(announced))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def serve(self, path: str, body: bytes, announced: int | None = None) -> str:
        self.pages[path] = (body, len(body) if announced is None else announced)
        return self.address + path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.server.shutdown()
    server.server.server_close()
    thread.join()


class TestReadUrl:
    def test_content(self, server: Server, capsys: pytest.CaptureFixture[str]):
        body = bytes(range(256)) * 2000
        assert read_url(server.serve("/net.pth", body)) == body
        output = capsys.readouterr()
        assert output.out == ""
        assert "net.pth" in output.err

    def test_no_progress(self, server: Server, capsys: pytest.CaptureFixture[str]):
        read_url(server.serve("/net.pth", b"body"), progress=False)
        assert capsys.readouterr().err == ""

    def test_ends_early(self, server: Server):
        url = server.serve("/net.pth", b"0123456789", announced=4000)
        with pytest.raises(OSError, match="ended after 10 of 4000 bytes"):
            read_url(url, progress=False)

    def test_missing(self, server: Server):
        with pytest.raises(OSError, match="404"):
            read_url(server.address + "/net.pth", progress=False)

    def test_too_large(self, server: Server, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("dr_kfs.descriptors.download.MAX_BYTES", 9)
        with pytest.raises(OSError, match="more than the 9 bytes"):
            read_url(server.serve("/net.pth", b"0123456789"), progress=False)

    def test_no_network(self):
        with pytest.raises(OSError, match="refused"):
            read_url(CLOSED, progress=False)


class TestFetchPublished:
    @pytest.fixture
    def content(self, kornia_network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
        """A checkpoint of HardNet's structure, expected under its name."""
        monkeypatch.setenv("DR_KFS_CACHE", str(tmp_path / "cache"))
        torch.save({"state_dict": kornia_network("HardNet").state_dict()}, tmp_path / "net.pth")
        return (tmp_path / "net.pth").read_bytes()

    def expect(self, monkeypatch: pytest.MonkeyPatch, content: bytes, *urls: str) -> None:
        entry = dataclasses.replace(PUBLISHED[NAME], git_blob=git_blob_id(content), urls=urls)
        monkeypatch.setitem(PUBLISHED, NAME, entry)

    def test_downloads_once(self, server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch):
        self.expect(monkeypatch, content, server.serve("/HardNet++.pth", content))
        path = fetch_published(NAME, progress=False)
        assert fetch_published(NAME, progress=False) == path
        assert server.asked == ["/HardNet++.pth"]
        assert HardNetDescriptor(NAME)(torch.rand(2, 32, 32)).shape == (2, 128)

    def test_an_altered_cache_is_fetched_again(self, server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch):
        self.expect(monkeypatch, content, server.serve("/HardNet++.pth", content))
        path = fetch_published(NAME, progress=False)
        whole = path.read_bytes()
        path.write_bytes(whole[:-4])
        assert fetch_published(NAME, progress=False).read_bytes() == whole

    def test_the_second_address_serves_the_same_bytes_or_nothing(
        self, server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch
    ):
        other = server.serve("/other.pth", b"another file")
        self.expect(monkeypatch, content, CLOSED, other, server.serve("/HardNet++.pth", content))
        fetch_published(NAME, progress=False)
        assert server.asked == ["/other.pth", "/HardNet++.pth"]

    def test_no_address_has_it(self, server: Server, content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        short = server.serve("/short.pth", content[:-9], announced=len(content))
        other = server.serve("/other.pth", b"another file")
        self.expect(monkeypatch, content, CLOSED, server.address + "/none.pth", short, other)
        with pytest.raises(ValueError, match='The weights "hardnet\\+\\+" could not be downloaded') as error:
            fetch_published(NAME, progress=False)
        message = str(error.value)
        assert "\n" not in message
        for part in (
            "refused",
            "404",
            f"the transfer ended after {len(content) - 9} of {len(content)} bytes",
            f"expected git blob id {git_blob_id(content)}, its 12 bytes have {git_blob_id(b'another file')}",
            "`dr-kfs fetch hardnet++ --source HardNet++.pth`",
        ):
            assert part in message
        assert not (tmp_path / "cache").exists()
