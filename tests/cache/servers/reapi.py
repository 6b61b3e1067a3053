"""A server of the Remote Execution API, strict and of our own: it offers what a test asks for."""

import sys
from pathlib import Path

from typing_extensions import override

from torchstash.tests.cache.servers.local_server import LocalServer

# Stands for its program wherever the tests lie.
_STRICT = "from torchstash.tests.cache.servers.strict_reapi_program import main; main()"


class StrictReapiServer(LocalServer):
    """`strict_reapi_program`; `options` are its arguments."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options or ("--function=1",)

    @override
    def command(self) -> list[str]:
        return [sys.executable, "-c", _STRICT, f"--port={self.port}", *self._options]
