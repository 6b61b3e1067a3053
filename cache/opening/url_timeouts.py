"""How long a remote engine may take, as its URL asks."""

from torchstash.cache.network import Timeouts
from torchstash.cache.opening.backend_url import BackendUrl
from torchstash.cache.opening.timeout_options import TIMEOUT_OPTIONS


def url_timeouts(url: BackendUrl) -> Timeouts:
    """The time limits that a URL asks for, or the defaults.

    Raises:
        BackendSettingsError: One of them is no such time, or zero.
    """
    values, _ = url.without_taken().take(**TIMEOUT_OPTIONS)
    try:
        return Timeouts(**values)
    except ValueError as error:
        raise url.wrong(f"has a time limit of zero ({error})", "give it more") from error
