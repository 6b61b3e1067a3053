"""Real servers through `open_backend` that are up, but cannot or will not do what is asked."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from torchstash.cache import MemorySink, RemoteCache, RemoteCachePassthroughSerde, open_backend
from torchstash.proto.cache.v1.cache_sample_pb2 import (
    OUTCOME_FAILED,
    OUTCOME_HIT,
    OUTCOME_MISS,
    OUTCOME_STORED,
)
from torchstash.tests.cache.child_process import run_in_child
from torchstash.tests.cache.faults.engines import ACCESS_KEY, BUCKET, SECRET_KEY, s3_url
from torchstash.tests.cache.faults.trial import KEY, ROUNDS, VALUE, Trial
from torchstash.tests.cache.servers.local_server import LocalServer
from torchstash.tests.cache.servers.rclone import RcloneServer
from torchstash.tests.cache.servers.reapi import StrictReapiServer
from torchstash.tests.cache.servers.valkey import ValkeyServer, valkey_cluster

_HIT, _STORED, _FAILED = {OUTCOME_HIT}, {OUTCOME_STORED}, {OUTCOME_FAILED}


def _redis_url(server: LocalServer, user: str = "") -> str:
    return f"redis://{user}127.0.0.1:{server.port}"


@contextmanager
def _full_disk(server: LocalServer, limit_bytes: int) -> Iterator[None]:
    """The system lets no file of the server grow beyond a limit, as on a full disk."""
    kind = resource.RLIMIT_FSIZE
    before = resource.prlimit(server.pid, kind, (limit_bytes, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(server.pid, kind, before)


class TestRedis:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[ValkeyServer]:
        with ValkeyServer(tmp_path / "server", "save 3600 1") as server:
            yield server

    def test_out_of_memory(self, server: ValkeyServer) -> None:
        trial = Trial(_redis_url(server))
        trial.put_known()
        server.say("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.say("CONFIG", "SET", "maxmemory", 1)
        trial.suffer(gets=_HIT, puts=_FAILED)
        server.say("CONFIG", "SET", "maxmemory", 0)
        trial.suffer(gets=_HIT, puts=_STORED)

    def test_a_read_only_replica(self, server: ValkeyServer, tmp_path: Path) -> None:
        trial = Trial(_redis_url(server))
        trial.put_known()
        with ValkeyServer(tmp_path / "primary") as primary:
            # Whatever becomes of what it holds, it takes nothing.
            server.say("REPLICAOF", primary.host, primary.port)
            trial.suffer(gets={OUTCOME_HIT, OUTCOME_MISS, OUTCOME_FAILED}, puts=_FAILED)
        server.say("REPLICAOF", "NO", "ONE")
        trial.put_known()

    def test_a_full_disk(self, server: ValkeyServer) -> None:
        trial = Trial(_redis_url(server))
        trial.put_known()
        with _full_disk(server, len(VALUE) // 2):
            server.say("BGSAVE")
            while "rdb_last_bgsave_status:err" not in server.say("INFO", "persistence"):
                os.sched_yield()
            trial.suffer(gets=_HIT, puts=_FAILED)
        server.say("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        trial.suffer(gets=_HIT, puts=_STORED)

    def test_credentials_that_expire(self, server: ValkeyServer) -> None:
        server.say("ACL", "SETUSER", "stash", "on", ">right", "~torchstash:*", "+@all")
        trial = Trial(_redis_url(server, "stash:right@"))
        trial.put_known()
        # Its connections are closed, and no new one is let in.
        server.say("ACL", "SETUSER", "stash", "off")
        server.say("CLIENT", "KILL", "USER", "stash")
        trial.suffer(gets=_FAILED, puts=_FAILED)
        server.say("ACL", "SETUSER", "stash", "on")
        trial.comes_back()

    def test_rights_that_are_withdrawn(self, server: ValkeyServer) -> None:
        server.say("ACL", "SETUSER", "stash", "on", ">right", "~torchstash:*", "+@all")
        trial = Trial(_redis_url(server, "stash:right@"))
        trial.put_known()
        server.say("ACL", "SETUSER", "stash", "resetkeys")
        trial.suffer(gets=_FAILED, puts=_FAILED)
        server.say("ACL", "SETUSER", "stash", "~torchstash:*")
        trial.comes_back()

    def test_it_ends_and_comes_back_empty(self, server: ValkeyServer) -> None:
        trial = Trial(_redis_url(server))
        trial.put_known()
        server.kill()
        trial.suffer(gets=_FAILED, puts=_FAILED)
        server.start()
        trial.put_known()


def test_a_cluster_whose_slots_move(tmp_path: Path) -> None:
    with valkey_cluster(tmp_path / "cluster") as servers:
        trial = Trial(_redis_url(servers[0]))
        trial.put_known()
        slot = int(servers[0].say("CLUSTER", "KEYSLOT", f"torchstash:{KEY}")[1:])
        source = servers[next(i for i in range(3) if slot < (i + 1) * 16384 // 3)]
        target = next(server for server in servers if server is not source)
        ids = {
            server.port: server.say("CLUSTER", "MYID").split("\r\n")[1]
            for server in (source, target)
        }
        target.say("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        source.say("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        key = f"torchstash:{KEY}"
        trial.suffer(gets=_HIT, puts=_STORED)
        source.say("MIGRATE", target.host, target.port, key, 0, 10_000)
        # ASK, while it is on its way.
        trial.suffer(gets=_HIT, puts=_STORED)
        for server in (target, source, *servers):
            server.say("CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])
        # MOVED, once it has arrived.
        trial.suffer(gets=_HIT, puts=_STORED)
        # And to a server that is no more: its keys fail, those of the others do not.
        target.kill()
        trial.suffer(gets=_FAILED, puts={OUTCOME_STORED, OUTCOME_FAILED})
        target.start()
        trial.put_known()


class TestS3:
    def test_wrong_keys(self, tmp_path: Path) -> None:
        server = RcloneServer(tmp_path, "s3", f"--auth-key={ACCESS_KEY},{SECRET_KEY}")
        (server.served / BUCKET).mkdir()
        with server:
            right = Trial(s3_url("127.0.0.1", server.port, False))
            right.put_known()
            wrong = Trial(s3_url("127.0.0.1", server.port, False, secret="expired"))
            wrong.suffer(gets=_FAILED, puts=_FAILED)
            right.suffer(gets=_HIT, puts=_STORED)

    def test_a_bucket_that_is_not_there(self, tmp_path: Path) -> None:
        server = RcloneServer(tmp_path, "s3", f"--auth-key={ACCESS_KEY},{SECRET_KEY}")
        with server:
            trial = Trial(s3_url("127.0.0.1", server.port, False))
            trial.suffer(gets=_FAILED, puts=_FAILED)

    def test_a_full_disk(self, tmp_path: Path) -> None:
        server = RcloneServer(tmp_path, "s3", f"--auth-key={ACCESS_KEY},{SECRET_KEY}")
        (server.served / BUCKET).mkdir()
        with server:
            trial = Trial(s3_url("127.0.0.1", server.port, False))
            trial.put_known()
            with _full_disk(server, len(VALUE) // 2):
                trial.suffer(gets=_HIT, puts=_FAILED)
            trial.put_known()


class TestHttp:
    def test_wrong_passwords(self, tmp_path: Path) -> None:
        with RcloneServer(tmp_path, "webdav", "--user=stash", "--pass=right") as server:
            right = Trial(f"http://stash:right@127.0.0.1:{server.port}")
            right.put_known()
            for user in ("stash:wrong@", ""):
                wrong = Trial(f"http://{user}127.0.0.1:{server.port}")
                wrong.suffer(gets=_FAILED, puts=_FAILED)
            right.suffer(gets=_HIT, puts=_STORED)

    def test_a_full_disk(self, tmp_path: Path) -> None:
        with RcloneServer(tmp_path, "webdav") as server:
            trial = Trial(f"http://127.0.0.1:{server.port}")
            trial.put_known()
            with _full_disk(server, len(VALUE) // 2):
                trial.suffer(gets=_HIT, puts=_FAILED)
            trial.put_known()

    def test_a_server_that_takes_nothing(self, tmp_path: Path) -> None:
        with RcloneServer(tmp_path, "webdav", "--read-only") as server:
            trial = Trial(f"http://127.0.0.1:{server.port}")
            trial.suffer(gets={OUTCOME_MISS}, puts=_FAILED)


class TestReapi:
    def test_wrong_tokens(self, tmp_path: Path) -> None:
        with StrictReapiServer(tmp_path, "--function=1", "--token=right") as server:
            right = Trial(f"grpc://127.0.0.1:{server.port}?bearer_token=right")
            right.put_known()
            wrong = Trial(f"grpc://127.0.0.1:{server.port}?bearer_token=expired")
            wrong.suffer(gets=_FAILED, puts=_FAILED)
            right.suffer(gets=_HIT, puts=_STORED)

    def test_a_server_that_is_full(self, tmp_path: Path) -> None:
        limit = f"--max-bytes={len(VALUE) * 2}"
        with StrictReapiServer(tmp_path, "--function=1", limit) as server:
            trial = Trial(f"grpc://127.0.0.1:{server.port}")
            trial.put_known()
            trial.suffer(gets=_HIT, puts=_FAILED)

    def test_a_server_that_takes_no_results(self, tmp_path: Path) -> None:
        with StrictReapiServer(tmp_path, "--function=1", "--read-only") as server:
            trial = Trial(f"grpc://127.0.0.1:{server.port}")
            trial.suffer(gets={OUTCOME_MISS}, puts=_FAILED)


def test_a_full_disk_of_the_near_tier(tmp_path: Path) -> None:
    near = tmp_path / "near"
    with ValkeyServer(tmp_path / "server") as server:
        url = f"file:{near}|redis://127.0.0.1:{server.port}?timeout=60s&connect_timeout=60s"
        open_backend(url).put(KEY, VALUE)

        def work() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
            sink = MemorySink()
            cache: RemoteCache[bytes] = RemoteCache(
                open_backend(url), RemoteCachePassthroughSerde(), sink=sink
            )
            for i in range(ROUNDS):
                # The near tier has no room for the large ones, and the far one serves them.
                large = VALUE * 10 + b"%d" % i
                cache.put(f"large/{i}", large)
                assert cache.get(f"large/{i}") == large
                assert cache.get(KEY) == VALUE
            assert {sample.outcome for sample in sink.samples} == _HIT | _STORED
            assert any("fault:near" in sample.attributes for sample in sink.samples)

        run_in_child(work)
