"""SeaweedFS, from its wheel: an S3 server that checks signatures and conditions, and a filer."""

import http.client
import json
from pathlib import Path

from typing_extensions import override

from torchstash.tests.cache.servers.local_server import LocalServer, free_port
from torchstash.tests.cache.servers.programs import program

ACCESS_KEY = "stash-key"
SECRET_KEY = "right"
BUCKET = "stash-test"

# The parts of SeaweedFS that listen. Their gRPC ports follow from these, unless they are told.
_PARTS = ("master", "volume", "filer")


class SeaweedServer(LocalServer):
    """Its first put to a bucket makes the bucket. Its filer is a web server without passwords."""

    def __init__(self, folder: Path, *, trusts_everybody: bool = False) -> None:
        super().__init__(folder)
        self._trusts_everybody = trusts_everybody
        ports = {part: free_port() for part in _PARTS}
        self.filer_port = ports["filer"]
        self._ports = [f"-{part}.port={port}" for part, port in ports.items()]
        self._ports += [f"-{part}.port.grpc={free_port()}" for part in (*_PARTS, "s3")]

    @override
    def command(self) -> list[str]:
        configuration = self.folder / "s3.json"
        # SeaweedFS knows those without credentials by this name.
        identity = {
            "name": "anonymous" if self._trusts_everybody else "stash",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        configuration.write_text(json.dumps({"identities": [identity]}))
        (self.folder / "data").mkdir(exist_ok=True)
        return [
            program("weed"),
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-dir={self.folder / 'data'}",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=1024",
            *self._ports,
            "-s3",
            f"-s3.port={self.port}",
            f"-s3.config={configuration}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]

    @override
    def is_ready(self) -> bool:
        """Whether it takes writes: it listens before it has room for them."""
        return super().is_ready() and self._has_room()

    def _has_room(self) -> bool:
        connection = http.client.HTTPConnection(self.host, self.filer_port, timeout=5)
        try:
            connection.request("PUT", "/ready", b"x", {"Content-Type": "text/plain"})
            return connection.getresponse().status < 300
        except OSError:
            return False
        finally:
            connection.close()
