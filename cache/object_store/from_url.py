"""`s3://bucket/prefix?endpoint=https://minio:9000`, `gs://bucket/prefix`, `az://container/prefix`.

The options are those of obstore that a cache needs, by its names. What is not given comes from the
environment, as with the stores' own tools: credentials best do.
"""

from typing import Any, Final

from torchstash.cache.object_store.backend import ObjectStoreBackend
from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.option_types import FLAG, SECRET, TEXT, OptionType
from torchstash.cache.opening.url_timeouts import url_timeouts

_OPTIONS: Final[dict[str, dict[str, OptionType[Any]]]] = {
    "s3": {
        "access_key_id": TEXT,
        "endpoint": TEXT,
        "region": TEXT,
        "secret_access_key": SECRET,
        "session_token": SECRET,
        "skip_signature": FLAG,
        "virtual_hosted_style_request": FLAG,
    },
    "gs": {
        "application_credentials": TEXT,
        "base_url": TEXT,
        "bearer_token": SECRET,
        "service_account_path": TEXT,
        "skip_signature": FLAG,
    },
    "az": {
        "account_key": SECRET,
        "account_name": TEXT,
        "endpoint": TEXT,
        "sas_key": SECRET,
        "skip_signature": FLAG,
        "use_emulator": FLAG,
    },
}
_ADDRESSES: Final = ("endpoint", "base_url")


def backend_from_url(url: BackendUrl) -> ObjectStoreBackend:
    """A bucket, or what lies below a prefix in it. An endpoint without TLS is taken as it says."""
    options = url.options(ca_file=TEXT, **_OPTIONS[url.scheme])
    if len(url.places) > 1 or url.port is not None or url.username is not None:
        raise url.wrong(
            "names more than a bucket", "write s3://bucket/prefix; the server is an option"
        )
    ca_file = options.pop("ca_file", None)
    allow_http = any(str(options.get(name, "")).startswith("http://") for name in _ADDRESSES)
    return ObjectStoreBackend(
        f"{url.scheme}://{url.host}{url.path}",
        options={name: _text(value) for name, value in options.items()},
        allow_http=allow_http,
        ca_file=ca_file,
        timeouts=url_timeouts(url),
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
