"""BuildGrid, a server of the Remote Execution API that many run, from its wheel."""

import os
from pathlib import Path

from typing_extensions import override

from torchstash.tests.cache.servers.local_server import LocalServer, free_port
from torchstash.tests.cache.servers.programs import program

_SETTINGS = """
server:
  - !channel
    address: "{host}:{port}"
    insecure-mode: true
{secure_channels}
authorization:
{authorization}
storages:
  - !disk-storage &storage
    path: {contents}
instances:
  - name: ""
    services:
      - !action-cache
        cache: !lru-action-cache
          storage: *storage
          max-cached-refs: 100000
          allow-updates: true
      - !cas
        storage: *storage
      - !bytestream
        storage: *storage
thread-pool-size: 32
"""
_SECURE_CHANNEL = """
  - !channel
    address: "{host}:{port}"
    insecure-mode: false
    credentials:
      tls-server-cert: {certificate}
      tls-server-key: {certificate}
"""


class BuildGridServer(LocalServer):
    """Its contents are files; which actions they are results of, it forgets when it ends.

    Args:
        folder: For what it keeps.
        certificate: PEM file of a key and its certificate: serve TLS as well, on `secure_port`.
        client_authority: PEM file of the authority of clients: serve those that have a certificate
            of it, on `mutual_port`.
        token_secret: File of a secret: serve only who shows a token signed with it.
    """

    # It imports for seconds before it listens.
    ready_seconds = 180.0

    def __init__(
        self,
        folder: Path,
        *,
        certificate: Path | None = None,
        client_authority: Path | None = None,
        token_secret: Path | None = None,
    ) -> None:
        super().__init__(folder)
        self.secure_port = free_port()
        self.mutual_port = free_port()
        self._certificate = certificate
        self._client_authority = client_authority
        self._token_secret = token_secret

    @property
    def contents(self) -> Path:
        """Where each blob is a file, named by its digest."""
        return self.folder / "contents"

    def blobs(self, size_bytes: int | None = None) -> list[Path]:
        """The files of its blobs: of all, or of those of one size."""
        files = [path for path in self.contents.glob("cas/objects/*/*") if path.is_file()]
        return [path for path in files if size_bytes in (None, path.stat().st_size)]

    def lose_contents(self, *, larger_than_bytes: int = -1) -> None:
        """Delete blobs behind its back; what it lacks it may not give out as a result."""
        for path in self.blobs():
            if path.stat().st_size > larger_than_bytes:
                path.unlink()

    @override
    def command(self) -> list[str]:
        settings = self.folder / "buildgrid.yml"
        settings.write_text(self._settings())
        return [program("bgd"), "server", "start", str(settings)]

    @override
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def _settings(self) -> str:
        secure = ""
        if self._certificate is not None:
            names = {"host": self.host, "certificate": self._certificate}
            secure += _SECURE_CHANNEL.format(port=self.secure_port, **names)
            if self._client_authority is not None:
                secure += _SECURE_CHANNEL.format(port=self.mutual_port, **names).rstrip()
                secure += f"\n      tls-client-certs: {self._client_authority}\n"
        authorization = "  method: none"
        if self._token_secret is not None:
            authorization = f"  method: jwt\n  algorithm: hs256\n  secret: {self._token_secret}"
        return _SETTINGS.format(
            host=self.host,
            port=self.port,
            secure_channels=secure,
            authorization=authorization,
            contents=self.contents,
        )
