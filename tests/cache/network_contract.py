"""What every engine promises whose values lie on a server, while the server keeps no promise.

A test module derives a class from `NetworkContract` and gives it two fixtures.
"""

import os
import pickle
import signal
import socket
import time
from collections.abc import Iterator
from typing import ClassVar, Protocol

import pytest

from torchstash.cache import (
    BackendTimeoutError,
    BackendUnreachableError,
    RemoteCacheBackend,
)
from torchstash.cache.network import Timeouts
from torchstash.tests.cache.backend_contract import content
from torchstash.tests.cache.child_process import fork_while_threads_work, run_in_child
from torchstash.tests.cache.servers.fault_proxy import FaultProxy
from torchstash.tests.cache.servers.local_server import LocalServer, free_port

# For what should succeed: on a machine that is busy with other things too.
PATIENT = Timeouts(connect_seconds=20, operation_seconds=20)
# For what should fail.
HASTY = Timeouts(connect_seconds=0.2, operation_seconds=0.15)
# No operation of a hasty backend takes longer: twice its budget, and room for a busy machine.
HASTY_LIMIT_SECONDS = 5.0


class Connect(Protocol):
    """Makes a new backend over the server that listens on `port` of loopback."""

    def __call__(self, port: int, timeouts: Timeouts = PATIENT) -> RemoteCacheBackend[bytes]: ...


class NetworkContract:
    """Derive from it, and give the fixtures `server`, running, and `connect`.

    Attributes:
        forks: Whether a child may use what its parent has used.
        whole_requests: Whether what a request was to replace stays if the request breaks off.
    """

    forks: ClassVar[bool] = True
    whole_requests: ClassVar[bool] = True

    @pytest.fixture
    def server(self) -> LocalServer:
        raise NotImplementedError

    @pytest.fixture
    def connect(self) -> Connect:
        raise NotImplementedError

    @pytest.fixture
    def proxy(self, server: LocalServer) -> Iterator[FaultProxy]:
        with FaultProxy(server.port) as proxy:
            yield proxy

    def test_a_restarted_server_needs_no_new_backend(
        self, server: LocalServer, connect: Connect
    ) -> None:
        backend = connect(server.port)
        backend.put("key", b"before")
        server.kill()
        for _ in range(3):
            with pytest.raises(BackendUnreachableError, match=str(server.port)):
                backend.get("key")
        with pytest.raises(BackendUnreachableError):
            backend.put("key", b"meanwhile")
        server.start()
        backend.put("key", b"after")
        assert backend.get("key") == b"after"

    def test_a_server_that_comes_back_between_two_operations_is_not_noticed(
        self, server: LocalServer, connect: Connect
    ) -> None:
        backend = connect(server.port)
        backend.put("key", b"before")
        server.kill()
        server.start()
        backend.put("key", b"after")
        assert backend.get("key") == b"after"

    def test_nobody_listens(self, connect: Connect) -> None:
        port = free_port()
        backend = connect(port)
        with pytest.raises(BackendUnreachableError, match=str(port)):
            backend.get("key")
        with pytest.raises(BackendUnreachableError, match=str(port)):
            backend.put("key", b"x")

    def test_accepts_and_never_answers(self, connect: Connect) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            backend = connect(silent.getsockname()[1], HASTY)
            for size_bytes in (10, 100_000):
                started = time.monotonic()
                with pytest.raises(BackendTimeoutError):
                    backend.put("key", content(size_bytes))
                with pytest.raises(BackendTimeoutError):
                    backend.get("key")
                assert time.monotonic() - started < 2 * HASTY_LIMIT_SECONDS

    def test_hangs_and_goes_on(self, server: LocalServer, connect: Connect) -> None:
        connect(server.port).put("key", b"x")
        backend = connect(server.port, HASTY)
        os.kill(server.pid, signal.SIGSTOP)
        os.waitpid(server.pid, os.WUNTRACED)
        try:
            started = time.monotonic()
            with pytest.raises(BackendTimeoutError):
                backend.get("key")
            assert time.monotonic() - started < HASTY_LIMIT_SECONDS
        finally:
            os.kill(server.pid, signal.SIGCONT)
        patient = connect(server.port)
        assert patient.get("key") == b"x"

    def test_a_slow_drip_is_cut_off(
        self, server: LocalServer, proxy: FaultProxy, connect: Connect
    ) -> None:
        connect(server.port).put("key", content(2000))
        proxy.drip_seconds = 0.01
        backend = connect(proxy.port, HASTY)
        started = time.monotonic()
        with pytest.raises(BackendTimeoutError):
            backend.get("key")
        assert time.monotonic() - started < HASTY_LIMIT_SECONDS

    def test_an_answer_that_breaks_off_is_no_value(
        self, server: LocalServer, proxy: FaultProxy, connect: Connect
    ) -> None:
        for size_bytes in (2000, 300_000):
            connect(server.port).put("key", content(size_bytes))
            backend = connect(proxy.port)
            proxy.cut_answers_after_bytes = size_bytes - 1
            with pytest.raises(BackendUnreachableError):
                backend.get("key")
            proxy.cut_answers_after_bytes = None
            assert backend.get("key") == content(size_bytes)

    def test_a_request_that_breaks_off_leaves_a_whole_value(
        self, server: LocalServer, proxy: FaultProxy, connect: Connect
    ) -> None:
        if not self.whole_requests:
            pytest.skip("this server writes in place")
        patient = connect(server.port)
        patient.put("key", content(300_000, 1))
        backend = connect(proxy.port)
        proxy.cut_requests_after_bytes = 200_000
        with pytest.raises(BackendUnreachableError):
            backend.put("key", content(300_000, 2))
        assert patient.get("key") == content(300_000, 1)

    def test_a_child_uses_what_its_parent_opened(
        self, server: LocalServer, connect: Connect
    ) -> None:
        if not self.forks:
            pytest.skip("this engine does not cross a fork")
        backend = connect(server.port)
        backend.put("parent", b"before")

        def work() -> None:
            for i in range(20):
                backend.put(f"child/{i}", content(1000, i))
                assert backend.get(f"child/{i}") == content(1000, i)
                assert backend.get("parent") == b"before"

        for _ in range(3):
            run_in_child(work)
        assert backend.get("parent") == b"before"
        assert backend.get("child/19") == content(1000, 19)

    def test_forks_while_threads_work(self, server: LocalServer, connect: Connect) -> None:
        if not self.forks:
            pytest.skip("this engine does not cross a fork")
        backend = connect(server.port)

        def work(name: str, i: int) -> None:
            backend.put(name, content(1000, i % 50))
            assert backend.get(name) == content(1000, i % 50)

        def in_child() -> None:
            for i in range(5):
                backend.put(f"child/{i}", content(1000, i))
                assert backend.get(f"child/{i}") == content(1000, i)

        fork_while_threads_work(work, in_child, forks=5)

    def test_crosses_process_borders_as_its_address(
        self, server: LocalServer, connect: Connect
    ) -> None:
        backend = connect(server.port)
        backend.put("key", b"x")
        other = pickle.loads(pickle.dumps(backend))
        assert other.get("key") == b"x"
