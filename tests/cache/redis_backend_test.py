"""Redis and Valkey, one server."""

import gc
import itertools
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import trustme
from typing_extensions import override

from torchstash.cache import (
    BackendClosedError,
    BackendError,
    BackendFormatError,
    BackendFullError,
    BackendProtocolError,
    BackendReadOnlyError,
    BackendRefusedError,
    BackendSettingsError,
    cache_counters,
)
from torchstash.cache.network import Timeouts, TlsSettings
from torchstash.cache.redis import RedisBackend
from torchstash.tests.cache.backend_contract import BackendContract, content
from torchstash.tests.cache.network_contract import PATIENT, Connect, NetworkContract
from torchstash.tests.cache.servers.fault_proxy import FaultProxy
from torchstash.tests.cache.servers.valkey import ValkeyServer

_PREFIXES = (f"test/{i}/" for i in itertools.count())


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """A server whose keys are told apart by prefix."""
    with ValkeyServer(
        tmp_path_factory.mktemp("shared"), "user default on nopass ~* +@all"
    ) as server:
        yield server


@pytest.fixture
def backend(shared_server: ValkeyServer) -> RedisBackend:
    return RedisBackend("127.0.0.1", shared_server.port, prefix=next(_PREFIXES), timeouts=PATIENT)


@pytest.fixture
def peer(shared_server: ValkeyServer) -> redis.Redis:
    """Another client: what we write is what everybody reads."""
    return redis.Redis("127.0.0.1", shared_server.port)


class TestRedisBackend(BackendContract):
    @pytest.fixture
    @override
    def backend(self, shared_server: ValkeyServer) -> RedisBackend:
        return RedisBackend(
            "127.0.0.1", shared_server.port, prefix=next(_PREFIXES), timeouts=PATIENT
        )


class TestNetwork(NetworkContract):
    @pytest.fixture
    @override
    def server(self, tmp_path: Path) -> Iterator[ValkeyServer]:
        with ValkeyServer(tmp_path / "server") as server:
            yield server

    @pytest.fixture
    @override
    def connect(self) -> Connect:
        def connect(port: int, timeouts: Timeouts = PATIENT) -> RedisBackend:
            return RedisBackend("127.0.0.1", port, timeouts=timeouts)

        return connect


class TestOnTheServer:
    def test_values_are_plain_strings_under_the_prefix(
        self, backend: RedisBackend, peer: redis.Redis
    ) -> None:
        prefix = backend._prefix
        backend.put("k\u00e9y", b"value")
        assert peer.get(prefix + "k\u00e9y".encode()) == b"value"
        peer.set(prefix + b"theirs", b"other")
        assert backend.get("theirs") == b"other"
        assert list(backend.keys()) == ["k\u00e9y", "theirs"]

    def test_values_without_the_prefix_are_not_touched(
        self, shared_server: ValkeyServer, peer: redis.Redis
    ) -> None:
        one = RedisBackend("127.0.0.1", shared_server.port, prefix="a[1]*", timeouts=PATIENT)
        other = RedisBackend("127.0.0.1", shared_server.port, prefix="a1", timeouts=PATIENT)
        one.put("key", b"1")
        other.put("xkey", b"2")
        assert list(one.keys()) == ["key"]
        assert list(other.keys("x")) == ["xkey"]
        assert not one.contains("xkey")

    def test_a_time_to_live(self, shared_server: ValkeyServer, peer: redis.Redis) -> None:
        for ttl_seconds, expected in ((100.0, 100_000), (0.5, 500)):
            mortal = RedisBackend(
                "127.0.0.1",
                shared_server.port,
                prefix="mortal:",
                ttl_seconds=ttl_seconds,
                timeouts=PATIENT,
            )
            mortal.put("one", content(10))
            mortal.put("large", content(100_000))
            mortal.put_many({"many": b"x"})
            for key in ("one", "large", "many"):
                left = peer.pttl(f"mortal:{key}")
                assert left == -2 or 0 < left <= expected

    def test_databases_are_apart(self, shared_server: ValkeyServer) -> None:
        zero, three = (
            RedisBackend("127.0.0.1", shared_server.port, db=db, prefix="db:", timeouts=PATIENT)
            for db in (0, 3)
        )
        zero.put("key", b"0")
        assert three.get("key") is None
        three.put("key", b"3")
        assert zero.get("key") == b"0"

    def test_a_value_of_another_type_is_foreign(
        self, backend: RedisBackend, peer: redis.Redis
    ) -> None:
        peer.rpush(backend._prefix + b"list", b"x")
        with pytest.raises(BackendFormatError, match="WRONGTYPE"):
            backend.get("list")
        assert backend.get("other") is None


class TestManyAtOnce:
    def test_round_trip(self, backend: RedisBackend) -> None:
        values = {f"{i}": content(i * 7, i) for i in range(1200)} | {"large": content(9 << 20)}
        backend.put_many(values)
        assert backend.get_many([*values, "absent", "0"]) == values
        assert backend.get_many([]) == {}
        backend.put_many({})

    def test_is_counted(self, backend: RedisBackend) -> None:
        cache_counters.clear()
        backend.put_many({"a": b"", "b": b"1"})
        backend.get_many(["a", "b", "c"])
        count = cache_counters.snapshot()["backend:RedisBackend"]
        assert (count.hit, count.miss, count.put, count.exception) == (2, 1, 2, 0)

    def test_an_error_among_many_is_raised_and_the_rest_stays_in_step(
        self, backend: RedisBackend, shared_server: ValkeyServer
    ) -> None:
        shared_server.say("ACL", "SETUSER", "narrow", "on", ">pw", "~n:a*", "+@all")
        narrow = RedisBackend(
            "127.0.0.1",
            shared_server.port,
            username="narrow",
            password="pw",
            prefix="n:",
            timeouts=PATIENT,
        )
        with pytest.raises(BackendRefusedError, match="NOPERM"):
            narrow.put_many({"a1": b"1", "b": b"2", "a2": b"3"})
        assert narrow.get("a1") == b"1"
        assert narrow.get("a2") == b"3"


class TestPutIfAbsent:
    def test_the_first_one_stays(self, backend: RedisBackend) -> None:
        assert backend.put_if_absent("key", b"first")
        assert not backend.put_if_absent("key", b"second")
        assert backend.get("key") == b"first"


class TestRefusals:
    @pytest.fixture
    def guarded(self, tmp_path: Path) -> Iterator[ValkeyServer]:
        with ValkeyServer(
            tmp_path / "guarded",
            "user default off",
            "user stash on >right ~torchstash:* +@read +@write +@connection",
        ) as server:
            yield server

    def test_an_acl_user_may_use_its_prefix_only(self, guarded: ValkeyServer) -> None:
        def user(password: str | None, prefix: str = "torchstash:") -> RedisBackend:
            return RedisBackend(
                "127.0.0.1",
                guarded.port,
                username="stash",
                password=password,
                prefix=prefix,
                timeouts=PATIENT,
            )

        good = user("right")
        good.put("key", b"x")
        assert good.get("key") == b"x"
        assert good.get_many(["key"]) == {"key": b"x"}
        assert list(good.keys()) == ["key"]
        for wrong, code in ((user("wrong"), "WRONGPASS"), (user(None), "NOAUTH")):
            with pytest.raises(BackendRefusedError, match=code) as caught:
                wrong.get("key")
            assert "right" not in str(caught.value)
            assert "'wrong'" not in str(caught.value)
        with pytest.raises(BackendRefusedError, match="NOPERM"):
            user("right", "foreign:").put("key", b"x")
        assert good.get("key") == b"x"

    def test_a_password_where_none_is_wanted(self, shared_server: ValkeyServer) -> None:
        backend = RedisBackend("127.0.0.1", shared_server.port, username="x", password="y")
        with pytest.raises(BackendRefusedError):
            backend.get("key")

    def test_a_database_that_is_not_there(self, shared_server: ValkeyServer) -> None:
        backend = RedisBackend("127.0.0.1", shared_server.port, db=99, timeouts=PATIENT)
        with pytest.raises(BackendRefusedError, match="DB index"):
            backend.get("key")

    def test_out_of_memory(self, tmp_path: Path) -> None:
        settings = ("maxmemory 4mb", "maxmemory-policy noeviction")
        with ValkeyServer(tmp_path / "small", *settings) as server:
            backend = RedisBackend("127.0.0.1", server.port, timeouts=PATIENT)
            backend.put("small", b"x")
            with pytest.raises(BackendFullError, match="OOM"):
                backend.put_many({f"{i}": content(1 << 20) for i in range(10)})
            assert backend.get("small") == b"x"
            backend.delete("0")

    def test_a_replica(self, tmp_path: Path, shared_server: ValkeyServer) -> None:
        with ValkeyServer(
            tmp_path / "replica", f"replicaof 127.0.0.1 {shared_server.port}"
        ) as server:
            backend = RedisBackend("127.0.0.1", server.port, timeouts=PATIENT)
            for _ in range(2):
                with pytest.raises(BackendReadOnlyError, match="replica"):
                    backend.put("key", b"x")

    def test_a_server_that_speaks_something_else(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve() -> None:
                with listener.accept()[0] as client:
                    client.recv(1000)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

            thread = threading.Thread(target=serve)
            thread.start()
            backend = RedisBackend("127.0.0.1", listener.getsockname()[1], timeouts=PATIENT)
            with pytest.raises(BackendProtocolError):
                backend.get("key")
            thread.join()

    def test_closed(self, backend: RedisBackend) -> None:
        backend.put("key", b"x")
        backend.close()
        backend.close()
        with pytest.raises(BackendClosedError):
            backend.get("key")

    def test_dropped_unclosed(self, backend: RedisBackend) -> None:
        dropped = RedisBackend("127.0.0.1", backend._settings["port"], timeouts=PATIENT)
        dropped.get("key")
        (pool,) = map(weakref.ref, dropped._opened._pools.values())
        gc.disable()
        try:
            del dropped
            assert pool() is None
        finally:
            gc.enable()


class TestFaults:
    def test_idle_connections_that_the_server_closed(
        self, backend: RedisBackend, peer: redis.Redis
    ) -> None:
        backend.put("key", b"x")
        peer.client_kill_filter(_type="normal", skipme=True)
        assert backend.get("key") == b"x"

    def test_another_server_where_the_first_is_gone(
        self, shared_server: ValkeyServer, tmp_path: Path
    ) -> None:
        gone = ValkeyServer(tmp_path / "gone")
        backend = RedisBackend(
            "127.0.0.1",
            gone.port,
            others=[("127.0.0.1", shared_server.port)],
            prefix="others:",
            timeouts=PATIENT,
        )
        backend.put("key", b"x")
        assert backend.get("key") == b"x"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class TestTls:
    @pytest.fixture
    def secure(self, shared_server: ValkeyServer, authority: trustme.CA) -> Iterator[FaultProxy]:
        """A proxy speaks TLS, as before many servers; `redis_tls_test` has one that does itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        with FaultProxy(shared_server.port, tls=context) as proxy:
            yield proxy

    @pytest.fixture
    def ca_file(self, authority: trustme.CA, tmp_path: Path) -> str:
        path = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(path))
        return str(path)

    def test_round_trip(self, secure: FaultProxy, ca_file: str) -> None:
        backend = RedisBackend(
            "localhost", secure.port, tls=TlsSettings(ca_file), prefix="tls:", timeouts=PATIENT
        )
        for size_bytes in (0, 10, 5 << 20):
            backend.put("key", content(size_bytes))
            assert backend.get("key") == content(size_bytes)

    def test_a_stranger_is_not_trusted(self, secure: FaultProxy, tmp_path: Path) -> None:
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        backend = RedisBackend(
            "localhost", secure.port, tls=TlsSettings(str(other)), timeouts=PATIENT
        )
        with pytest.raises(BackendRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
            backend.get("key")
        trusting = RedisBackend(
            "localhost", secure.port, tls=TlsSettings(verify=False), timeouts=PATIENT
        )
        assert trusting.get("absent") is None

    def test_a_certificate_for_another_name(
        self, shared_server: ValkeyServer, ca_file: str, authority: trustme.CA
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("elsewhere.example").configure_cert(context)
        with FaultProxy(shared_server.port, tls=context) as proxy:
            backend = RedisBackend(
                "localhost", proxy.port, tls=TlsSettings(ca_file), timeouts=PATIENT
            )
            with pytest.raises(BackendRefusedError, match="localhost"):
                backend.get("key")

    def test_a_server_without_tls(self, shared_server: ValkeyServer, ca_file: str) -> None:
        backend = RedisBackend("localhost", shared_server.port, tls=TlsSettings(ca_file))
        with pytest.raises(BackendError):
            backend.get("key")

    def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(BackendSettingsError, match=r"absent\.pem"):
            RedisBackend(tls=TlsSettings(str(tmp_path / "absent.pem")))
