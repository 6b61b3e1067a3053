"""`ca_file`, `certificate_file`, `key_file` and `verify`: options of every engine over TLS."""

from typing import Any, Final

from torchstash.cache.network import TlsSettings
from torchstash.cache.opening.option_types import FLAG, TEXT, OptionType

# By the fields of `TlsSettings`.
TLS_OPTIONS: Final[dict[str, OptionType[Any]]] = {
    "ca_file": TEXT,
    "certificate_file": TEXT,
    "key_file": TEXT,
    "verify": FLAG,
}


def take_tls(options: dict[str, Any]) -> TlsSettings:
    """The settings of TLS among the options of a URL, which are taken out of them."""
    return TlsSettings(**{name: options.pop(name) for name in TLS_OPTIONS if name in options})
