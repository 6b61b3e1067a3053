"""To and from real servers, by URL: one of each engine."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from torchstash.cache.opening import open_engine
from torchstash.content_store import PlaceUnavailableError, PlaceUnlistableError
from torchstash.content_store.movement import TieredReader, clone, pull, push, remote
from torchstash.tests.cache.servers.rclone import RcloneServer
from torchstash.tests.cache.servers.reapi import StrictReapiServer
from torchstash.tests.cache.servers.seaweed import (
    ACCESS_KEY,
    BUCKET,
    SECRET_KEY,
    SeaweedServer,
)
from torchstash.tests.cache.servers.valkey import ValkeyServer
from torchstash.tests.content_store.movement.movable_store import assert_moved, fill


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    with SeaweedServer(folder) as server:
        url = (
            f"s3://{BUCKET}/stores?endpoint=http://127.0.0.1:{server.port}&region=us-east-1"
            f"&access_key_id={ACCESS_KEY}&secret_access_key={SECRET_KEY}"
        )
        open_engine(url).put("first", b"makes the bucket")
        yield url


@contextmanager
def webdav(folder: Path) -> Iterator[str]:
    with RcloneServer(folder, "webdav") as server:
        yield f"http://127.0.0.1:{server.port}"


@contextmanager
def bazel_http(folder: Path) -> Iterator[str]:
    with SeaweedServer(folder) as server:
        yield f"http://127.0.0.1:{server.filer_port}/cache?layout=bazel"


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    with ValkeyServer(folder) as server:
        yield f"redis://127.0.0.1:{server.port}/0?prefix=stores:"


@contextmanager
def reapi(folder: Path) -> Iterator[str]:
    with StrictReapiServer(folder) as server:
        yield f"grpc://127.0.0.1:{server.port}/stores"


SERVERS: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "s3": s3,
    "webdav": webdav,
    "bazel_http": bazel_http,
    "redis": redis,
    "reapi": reapi,
}


@pytest.mark.parametrize("engine", SERVERS)
def test_a_store_goes_there_and_comes_back(engine: str, tmp_path: Path) -> None:
    tensors = fill(tmp_path / "a")
    with SERVERS[engine](tmp_path / "server") as url:
        pushed = push(tmp_path / "a", url)
        assert pushed.names_published == 8
        again = push(tmp_path / "a", url)
        assert (again.names_unchanged, again.moved_bytes) == (8, 0)
        assert push(tmp_path / "a", url, verify=True).moved_bytes == 0
        clone(url, tmp_path / "b")
        assert_moved(tmp_path / "b", tensors)
        assert pull(tmp_path / "c", url, prefixes=["m", "st"]).names_published == 2
        with TieredReader(tmp_path / "near", url) as reader:
            assert reader.read_tensor("middle").equal(tensors["middle"])
            assert list(reader.names()) == sorted(tensors, key=str.encode)
            assert list(reader.snapshots()) == ["step 1"]


def test_a_web_server_in_front_of_a_bucket_is_listed_by_the_index(tmp_path: Path) -> None:
    """Pushed to by S3, read by HTTP: one folder, served twice."""
    tensors = fill(tmp_path / "a", with_large=False)
    folder = tmp_path / "server"
    with (
        RcloneServer(folder, "s3") as bucket,
        RcloneServer(folder, "webdav", "--dir-cache-time=0s") as web,
    ):
        (bucket.served / "bucket").mkdir()
        url = (
            f"s3://bucket?endpoint=http://127.0.0.1:{bucket.port}&region=us-east-1"
            "&access_key_id=x&secret_access_key=x"
        )
        public = f"http://127.0.0.1:{web.port}/bucket"
        push(tmp_path / "a", url, names=["weight"])
        with pytest.raises(PlaceUnlistableError, match="give the names"):
            clone(public, tmp_path / "b")
        push(tmp_path / "a", url, index=True, names=["weight"])
        # The index that is there is kept up.
        push(tmp_path / "a", url)
        clone(public, tmp_path / "b")
        assert_moved(tmp_path / "b", tensors)


def test_a_server_that_is_gone_is_waited_for_and_then_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(remote, "sleep", waits.append)
    with webdav(tmp_path / "server") as url:
        pass
    with (
        TieredReader(tmp_path / "near", url.replace("//", "//user:secret@")) as reader,
        pytest.raises(
            PlaceUnavailableError, match=r"http://\*\*\*@127.* records of names"
        ) as raised,
    ):
        reader.read_tensor("weight")
    assert tuple(waits) == remote.WAITS_SECONDS
    assert "secret" not in str(raised.value)
