"""rclone, from its wheel: a folder served by WebDAV or as S3."""

from pathlib import Path

from typing_extensions import override

from torchstash.tests.cache.servers.local_server import LocalServer
from torchstash.tests.cache.servers.programs import program


class RcloneServer(LocalServer):
    """Serves the folder `served`. `protocol` and `options` are rclone's."""

    def __init__(self, folder: Path, protocol: str, *options: str) -> None:
        super().__init__(folder)
        self.served = folder / "served"
        self.served.mkdir(exist_ok=True)
        self._protocol = protocol
        self._options = options

    @override
    def command(self) -> list[str]:
        return [
            program("rclone"),
            "serve",
            self._protocol,
            f"--addr={self.host}:{self.port}",
            f"--config={self.folder / 'rclone.conf'}",
            f"--cache-dir={self.folder / 'cache'}",
            *self._options,
            str(self.served),
        ]
