"""Redis, from a wheel, which speaks TLS itself: one server, or a cluster of three masters."""

import os
import re
from pathlib import Path

from typing_extensions import override

from torchstash.tests.cache.servers.local_server import free_port
from torchstash.tests.cache.servers.programs import program
from torchstash.tests.cache.servers.valkey import ValkeyServer

# Of names such as libssl-3e69114b.so.1.1, which a wheel gives to what it brings.
_TAG = re.compile(r"-[0-9a-f]{8}(?=\.so)")


class RedisTlsServer(ValkeyServer):
    """TLS on `port`; without it on `control_port`, where `say` speaks.

    Args:
        folder: For what it keeps.
        certificate: PEM file of a key and its certificate.
        client_authority: PEM file of the authority whose certificates clients must have; None:
            clients need none.
        settings: Lines of its configuration file.
    """

    def __init__(
        self, folder: Path, certificate: Path, client_authority: Path | None, *settings: str
    ) -> None:
        super().__init__(folder, *settings)
        self.control_port = free_port()
        self._tls = [
            f"port {self.control_port}",
            f"tls-port {self.port}",
            f"tls-cert-file {certificate}",
            f"tls-key-file {certificate}",
            f"tls-ca-cert-file {client_authority or certificate}",
            f"tls-auth-clients {'no' if client_authority is None else 'yes'}",
        ]

    @override
    def command(self) -> list[str]:
        return [program("redis-server"), str(self.configuration(*self._tls))]

    @override
    def environment(self) -> dict[str, str]:
        """Where Bazel names OpenSSL 1.1, to which it is linked: under the names that it knows."""
        libraries = self.folder / "lib"
        libraries.mkdir(exist_ok=True)
        for path in map(Path, os.environ.get("TORCHSTASH_OPENSSL", "").split()):
            link = libraries / _TAG.sub("", path.name)
            if not link.is_symlink():
                link.symlink_to(path.absolute())
        return {**super().environment(), "LD_LIBRARY_PATH": str(libraries)}
