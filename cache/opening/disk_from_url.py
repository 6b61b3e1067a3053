"""`file:///var/cache/torchstash?max_bytes=10GiB&durable=true`, or `file:relative/folder`."""

from torchstash.cache.disk import DiskBackend
from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.option_types import FLAG, SIZE_BYTES


def backend_from_url(url: BackendUrl) -> DiskBackend:
    """A folder that any number of processes share."""
    if url.places and url.host != "localhost":
        raise url.wrong(
            f"names the host {url.host!r}, but a folder is on this machine",
            "write file:///absolute/folder, or file:relative/folder",
        )
    if not url.path:
        raise url.wrong("names no folder", "write file:///absolute/folder")
    return DiskBackend(url.path, **url.options(max_bytes=SIZE_BYTES, durable=FLAG))
