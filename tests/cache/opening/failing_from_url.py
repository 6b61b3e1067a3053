"""A remote engine that tests make fail: `failing://host?error=timeout`."""

from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.option_types import choice
from torchstash.cache.opening.url_timeouts import url_timeouts
from torchstash.tests.cache.wrappers.scripted_backend import ScriptedBackend

_ERRORS = {"timeout": TimeoutError("slow"), "none": None}


class FailingBackend(ScriptedBackend):
    """What `backend_from_url` made."""

    opened: "list[FailingBackend]" = []  # noqa: RUF012 - tests look into it


def backend_from_url(url: BackendUrl) -> FailingBackend:
    """A backend that fails as its URL says."""
    options = url.options(error=choice(*_ERRORS))
    backend = FailingBackend()
    backend.error = _ERRORS[options.get("error", "none")]
    assert url_timeouts(url).operation_seconds == 60.0
    FailingBackend.opened.append(backend)
    return backend
