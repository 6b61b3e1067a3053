"""Redis and Valkey, a cluster of three masters."""

import itertools
from collections.abc import Iterator

import pytest
from typing_extensions import override

from torchstash.cache import BackendProtocolError, BackendRefusedError, BackendUnreachableError
from torchstash.cache.redis import RedisBackend
from torchstash.cache.redis.slots import SlotMap, key_slot, redirection
from torchstash.tests.cache.backend_contract import BackendContract, content
from torchstash.tests.cache.network_contract import PATIENT
from torchstash.tests.cache.servers.valkey import ValkeyServer, valkey_cluster, wait_until_whole

_PREFIXES = (f"test/{i}/" for i in itertools.count())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ValkeyServer]]:
    with valkey_cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


def connect(server: ValkeyServer, prefix: str) -> RedisBackend:
    return RedisBackend("127.0.0.1", server.port, prefix=prefix, timeouts=PATIENT)


@pytest.fixture
def backend(cluster: list[ValkeyServer]) -> RedisBackend:
    return connect(cluster[0], next(_PREFIXES))


class TestCluster(BackendContract):
    @pytest.fixture
    @override
    def backend(self, cluster: list[ValkeyServer]) -> RedisBackend:
        return connect(cluster[0], next(_PREFIXES))


def stored_key(backend: RedisBackend, key: str) -> bytes:
    return backend._prefix + key.encode()


def owner(cluster: list[ValkeyServer], slot: int) -> ValkeyServer:
    """The server that has a slot, as `valkey_cluster` has shared them out."""
    return next(
        server for i, server in enumerate(cluster) if slot < (i + 1) * 16384 // len(cluster)
    )


def test_any_server_leads_to_every_key(cluster: list[ValkeyServer]) -> None:
    prefix = next(_PREFIXES)
    values = {f"{i}": content(50, i) for i in range(60)}
    writers = itertools.cycle(connect(server, prefix) for server in cluster)
    for key, value in values.items():
        next(writers).put(key, value)
    for server in cluster:
        reader = connect(server, prefix)
        assert {key: reader.get(key) for key in values} == values
    sizes = [server.say("DBSIZE") for server in cluster]
    assert ":0\r\n" not in sizes


def test_many_at_once_go_to_every_server(
    cluster: list[ValkeyServer], backend: RedisBackend
) -> None:
    values = {f"{i}": content(i, i) for i in range(1000)} | {"large": content(5 << 20)}
    backend.put_many(values)
    assert backend.get_many([*values, "absent"]) == values
    fresh = connect(cluster[2], backend._prefix.decode())
    assert fresh.get_many([*values, "absent"]) == values


def test_a_slot_that_moves(cluster: list[ValkeyServer], backend: RedisBackend) -> None:
    moved, stays = "moved", "stays"
    slot = key_slot(stored_key(backend, moved))
    source = owner(cluster, slot)
    target = next(server for server in cluster if server is not source)
    source_id, target_id = (
        server.say("CLUSTER", "MYID").split("\r\n")[1] for server in (source, target)
    )
    backend.put(stays, b"before")
    assert backend.get(moved) is None

    # On its way: the source sends us, this once, to the target for what it does not have (ASK).
    assert target.say("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id) == "+OK\r\n"
    assert source.say("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id) == "+OK\r\n"
    backend.put(moved, b"on the way")
    assert backend.get(moved) == b"on the way"
    backend.put_many({moved: b"many", stays: b"many"})
    assert backend.get_many([moved, stays]) == {moved: b"many", stays: b"many"}
    assert target.say("CLUSTER", "COUNTKEYSINSLOT", slot) == ":1\r\n"

    # Arrived: the source sends us there for good (MOVED).
    for server in (target, source, *cluster):
        assert server.say("CLUSTER", "SETSLOT", slot, "NODE", target_id) == "+OK\r\n"
    assert backend.get_many([moved, stays]) == {moved: b"many", stays: b"many"}
    backend.put(moved, b"after")
    assert backend.get(moved) == b"after"
    assert backend.delete(moved)

    # Back again, for the other tests.
    for server in (source, target, *cluster):
        assert server.say("CLUSTER", "SETSLOT", slot, "NODE", source_id) == "+OK\r\n"


def test_a_master_that_goes_takes_its_keys_only(
    cluster: list[ValkeyServer], backend: RedisBackend
) -> None:
    keys = {owner(cluster, key_slot(stored_key(backend, f"{i}"))).port: f"{i}" for i in range(99)}
    for key in keys.values():
        backend.put(key, b"x")
    gone = cluster[1]
    gone.kill()
    try:
        for server in cluster:
            if server is gone:
                with pytest.raises(BackendUnreachableError):
                    backend.get(keys[server.port])
            else:
                assert backend.get(keys[server.port]) == b"x"
        # A new backend that is told of the lost one only cannot know the others.
        with pytest.raises(BackendUnreachableError):
            connect(gone, backend._prefix.decode()).get(keys[cluster[0].port])
        knows_another = RedisBackend(
            "127.0.0.1",
            gone.port,
            others=[("127.0.0.1", cluster[2].port)],
            prefix=backend._prefix.decode(),
            timeouts=PATIENT,
        )
        assert knows_another.get(keys[cluster[0].port]) == b"x"
    finally:
        gone.start()
    wait_until_whole(cluster)
    backend.put(keys[gone.port], b"again")
    assert backend.get(keys[gone.port]) == b"again"


def test_a_cluster_has_one_database(cluster: list[ValkeyServer]) -> None:
    backend = RedisBackend("127.0.0.1", cluster[0].port, db=1, timeouts=PATIENT)
    with pytest.raises(BackendRefusedError, match=r"DB index|cluster"):
        backend.get("key")


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        # The specification's own values, and its rules for tags.
        (b"123456789", 0x31C3),
        (b"", 0),
        (b"{user1000}.following", key_slot(b"user1000")),
        (b"foo{}{bar}", 8363),
        (b"foo{{bar}}zap", key_slot(b"{bar")),
        (b"foo{bar}{zap}", key_slot(b"bar")),
    ],
)
def test_slots(key: bytes, slot: int) -> None:
    assert key_slot(key) == slot


def test_slots_agree_with_the_server(cluster: list[ValkeyServer]) -> None:
    for key in ("foo", "foo{}{bar}", "{a}b", "x{", "}{", "\u6f22{\u5b57}"):
        assert cluster[0].say("CLUSTER", "KEYSLOT", key) == f":{key_slot(key.encode())}\r\n"


@pytest.mark.parametrize(
    "reply", [b"OK", [1], [[0, 1]], [[b"a", b"b", [b"h", 1]]], [[0, 99999, [b"h", 1]]]]
)
def test_a_list_of_slots_that_is_none(reply: object) -> None:
    with pytest.raises(BackendProtocolError):
        SlotMap(reply, ("here", 1))


def test_a_server_that_does_not_know_its_name_is_the_one_that_was_asked() -> None:
    slots = SlotMap([[0, 16383, [b"", 7000]]], ("here", 1))
    assert slots.masters() == [("here", 7000)]
    assert redirection("MOVED 1 :7000", ("here", 1)) == ("here", 7000)
    assert redirection("MOVED 1 ::1:7000", ("here", 1)) == ("::1", 7000)
