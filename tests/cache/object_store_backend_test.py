"""S3 and its like. SeaweedFS checks signatures and conditions; rclone comes and goes quickly."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from torchstash.cache import (
    BackendClosedError,
    BackendForkedError,
    BackendFormatError,
    BackendMissingError,
    BackendRefusedError,
    BackendSettingsError,
)
from torchstash.cache.flat_names import (
    KEY_ATTRIBUTE,
    decoded_key,
    encoded_key,
    flat_name,
    key_of_metadata,
    key_of_name,
)
from torchstash.cache.network import Timeouts
from torchstash.cache.object_store import ObjectStoreBackend
from torchstash.tests.cache.backend_contract import KEYS, BackendContract, content
from torchstash.tests.cache.child_process import run_in_child, run_python
from torchstash.tests.cache.network_contract import PATIENT, Connect, NetworkContract
from torchstash.tests.cache.servers.rclone import RcloneServer
from torchstash.tests.cache.servers.seaweed import (
    ACCESS_KEY,
    BUCKET,
    SECRET_KEY,
    SeaweedServer,
)

_PREFIXES = (f"test/{i}" for i in itertools.count())


def s3(
    port: int,
    prefix: str,
    *,
    secret: str = SECRET_KEY,
    bucket: str = BUCKET,
    timeouts: Timeouts = PATIENT,
) -> ObjectStoreBackend:
    return ObjectStoreBackend(
        f"s3://{bucket}/{prefix}",
        options={
            "endpoint": f"http://127.0.0.1:{port}",
            "region": "us-east-1",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": secret,
        },
        allow_http=True,
        timeouts=timeouts,
    )


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    with SeaweedServer(tmp_path_factory.mktemp("seaweed")) as server:
        s3(server.port, "first").put("key", b"makes the bucket")
        yield server


@pytest.fixture
def backend(seaweed: SeaweedServer) -> ObjectStoreBackend:
    return s3(seaweed.port, next(_PREFIXES))


class TestS3(BackendContract):
    @pytest.fixture
    @override
    def backend(self, seaweed: SeaweedServer) -> ObjectStoreBackend:
        return s3(seaweed.port, next(_PREFIXES))


class TestNetwork(NetworkContract):
    forks = False

    @pytest.fixture
    @override
    def server(self, tmp_path: Path) -> Iterator[RcloneServer]:
        server = RcloneServer(tmp_path / "server", "s3", f"--auth-key={ACCESS_KEY},{SECRET_KEY}")
        (server.served / BUCKET).mkdir()
        with server:
            yield server

    @pytest.fixture
    @override
    def connect(self) -> Connect:
        def connect(port: int, timeouts: Timeouts = PATIENT) -> ObjectStoreBackend:
            return s3(port, "prefix", timeouts=timeouts)

        return connect


class TestManyAtOnce:
    def test_round_trip(self, backend: ObjectStoreBackend) -> None:
        values = {f"{i}": content(i * 100, i) for i in range(40)} | {"large": content(2 << 20)}
        backend.put_many(values)
        assert backend.get_many([*values, "absent", "0"]) == values
        assert backend.get_many([]) == {}


class TestPutIfAbsent:
    def test_the_first_one_stays(self, backend: ObjectStoreBackend) -> None:
        for key in ("key", "x" * 1024):
            assert backend.put_if_absent(key, b"first")
            assert not backend.put_if_absent(key, b"second")
            assert backend.get(key) == b"first"


class TestRefusals:
    def test_wrong_credentials(self, seaweed: SeaweedServer) -> None:
        s3(seaweed.port, "refused").put("key", b"x")
        wrong = s3(seaweed.port, "refused", secret="not-it")
        for use in (
            lambda: wrong.get("key"),
            lambda: wrong.put("key", b"y"),
            lambda: wrong.contains("key"),
            lambda: wrong.delete("key"),
            lambda: list(wrong.keys()),
            lambda: wrong.put_if_absent("other", b"y"),
        ):
            with pytest.raises(BackendRefusedError, match="credentials") as caught:
                use()
            assert "not-it" not in str(caught.value)
            assert "Debug source" not in str(caught.value)
        assert s3(seaweed.port, "refused").get("key") == b"x"

    def test_a_bucket_that_is_missing_is_no_miss(self, seaweed: SeaweedServer) -> None:
        nowhere = s3(seaweed.port, "prefix", bucket="no-such-bucket")
        with pytest.raises(BackendMissingError, match="create the bucket"):
            nowhere.get("key")
        with pytest.raises(BackendMissingError, match="create the bucket"):
            list(nowhere.keys())

    @pytest.mark.parametrize(
        ("url", "options"),
        [
            ("s3://bucket", {"no_such_option": "1"}),
            ("s3://", {}),
            ("bucket", {}),
            ("az://container", {}),
            ("gs://bucket", {"service_account_path": "/nonexistent.json"}),
        ],
    )
    def test_settings_that_mean_no_store(
        self, url: str, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
        with pytest.raises(BackendSettingsError):
            ObjectStoreBackend(url, options=options)

    def test_an_authority_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(BackendSettingsError, match="ca"):
            ObjectStoreBackend("s3://bucket", ca_file=str(tmp_path / "ca.pem"))

    def test_closed(self, backend: ObjectStoreBackend) -> None:
        backend.put("key", b"x")
        backend.close()
        backend.close()
        with pytest.raises(BackendClosedError):
            backend.get("key")


class TestForks:
    def test_a_child_of_a_process_that_used_stores_is_told(
        self, backend: ObjectStoreBackend
    ) -> None:
        backend.put("key", b"x")

        def work() -> None:
            for use in (lambda: backend.get("key"), lambda: backend.put("key", b"y")):
                with pytest.raises(BackendForkedError, match="spawn"):
                    use()

        run_in_child(work)
        assert backend.get("key") == b"x"

    def test_a_child_of_a_process_that_did_not_may(self, seaweed: SeaweedServer) -> None:
        code = """
import os, sys
from torchstash.cache.network import Timeouts
from torchstash.cache.object_store import ObjectStoreBackend

url, endpoint, key, secret = sys.argv[1:]
backend = ObjectStoreBackend(
    url,
    options={
        "endpoint": endpoint,
        "region": "us-east-1",
        "access_key_id": key,
        "secret_access_key": secret,
    },
    allow_http=True,
    timeouts=Timeouts(connect_seconds=20, operation_seconds=20),
)
if not os.fork():
    backend.put("child", b"x")
    print(backend.get("child"), flush=True)
    os._exit(0)
os.wait()
print(backend.get("child"))
"""
        printed = run_python(
            code,
            f"s3://{BUCKET}/{next(_PREFIXES)}",
            f"http://127.0.0.1:{seaweed.port}",
            ACCESS_KEY,
            SECRET_KEY,
        )
        assert printed.split() == ["b'x'", "b'x'"]


class TestNames:
    @pytest.mark.parametrize("key", [*KEYS, "\u6f22" * 341, "!", "!41", "a" * 198, "a" * 199])
    def test_are_short_plain_and_tell_the_key(self, key: str) -> None:
        name = flat_name(key)
        assert len(name) <= 200
        assert set(name) <= set(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!"
        )
        if name.startswith("k-"):
            assert key_of_name(name) == key
        else:
            assert key_of_metadata(name, {KEY_ATTRIBUTE: encoded_key(key)}) == key

    def test_differ(self) -> None:
        assert len({flat_name(key) for key in KEYS}) == len(KEYS)

    @pytest.mark.parametrize("encoded", ["a/b", "!", "!4", "!zz", "!ff", "!FF", "%41", "a b"])
    def test_what_is_no_encoded_key(self, encoded: str) -> None:
        assert decoded_key(encoded) is None

    @pytest.mark.parametrize("attributes", [{}, {KEY_ATTRIBUTE: "a"}, {KEY_ATTRIBUTE: "!"}])
    def test_metadata_that_tell_no_key(self, attributes: dict[str, str]) -> None:
        with pytest.raises(BackendFormatError, match=KEY_ATTRIBUTE):
            key_of_metadata(flat_name("x" * 500), attributes)
