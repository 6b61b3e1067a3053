"""`gs://` and `az://`: the clients of Google's and Azure's protocols, over SeaweedFS behind fronts.

The fronts know what of these protocols values by key need. docs/adr/0045 tells what else was tried.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest
from typing_extensions import override

from torchstash.cache import BackendMissingError, BackendRefusedError, RemoteCacheBackend
from torchstash.cache.object_store import ObjectStoreBackend
from torchstash.cache.opening import open_engine
from torchstash.tests.cache.backend_contract import BackendContract
from torchstash.tests.cache.servers.azure_front import ACCOUNT, ACCOUNT_KEY, AzureFront
from torchstash.tests.cache.servers.google_front import TOKEN, GoogleFront
from torchstash.tests.cache.servers.seaweed import BUCKET, SeaweedServer

# Of a bucket and a prefix.
Opening: TypeAlias = Callable[[str, str], RemoteCacheBackend[bytes]]

_PREFIXES = (f"test/{i}" for i in itertools.count())


def _google(port: int, token: str = TOKEN) -> Opening:
    options = f"base_url=http://127.0.0.1:{port}&bearer_token={token}&timeout=60s"
    return lambda bucket, prefix: open_engine(f"gs://{bucket}/{prefix}?{options}")


def _azure(port: int, account: str = ACCOUNT) -> Opening:
    options = f"endpoint=http://127.0.0.1:{port}&account_name={account}&account_key={ACCOUNT_KEY}"
    return lambda bucket, prefix: open_engine(f"az://{bucket}/{prefix}?{options}&timeout=60s")


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    folder = tmp_path_factory.mktemp("seaweed")
    with SeaweedServer(folder, trusts_everybody=True) as server:
        yield server


@pytest.fixture(scope="module")
def ports(seaweed: SeaweedServer) -> Iterator[dict[str, int]]:
    with GoogleFront(seaweed.port) as google, AzureFront(seaweed.port) as azure:
        _google(google.port)(BUCKET, "first").put("key", b"makes the bucket")
        yield {"google": google.port, "azure": azure.port}


@pytest.fixture(params=["google", "azure"])
def opening(request: pytest.FixtureRequest, ports: dict[str, int]) -> Opening:
    make = _google if request.param == "google" else _azure
    return make(ports[request.param])


class TestStores(BackendContract):
    @pytest.fixture
    @override
    def backend(self, opening: Opening) -> RemoteCacheBackend[bytes]:
        backend = opening(BUCKET, next(_PREFIXES))
        assert type(backend) is ObjectStoreBackend
        return backend


def test_a_bucket_that_is_missing_is_no_miss(opening: Opening) -> None:
    with pytest.raises(BackendMissingError, match="create the bucket"):
        opening("no-such-bucket", "prefix").get("key")


def test_those_who_are_not_known_are_refused(ports: dict[str, int]) -> None:
    for opening in (_google(ports["google"], "not-it"), _azure(ports["azure"], "not-it")):
        wrong = opening(BUCKET, "refused")
        with pytest.raises(BackendRefusedError, match="credentials") as caught:
            wrong.get("key")
        assert "not-it" not in str(caught.value)
        with pytest.raises(BackendRefusedError, match="credentials"):
            wrong.put("key", b"x")
