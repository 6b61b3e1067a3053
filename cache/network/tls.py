"""TLS of a client, as plain settings: they can be compared, pickled and put into a URL."""

import ssl
from dataclasses import dataclass

from torchstash.cache.errors import BackendSettingsError


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a server proves who it is, and how we do.

    Attributes:
        ca_file: PEM file of the authorities to trust; None: those of the system.
        certificate_file: PEM file of our own certificate, where the server asks for one.
        key_file: PEM file of its private key; None: it is in `certificate_file`.
        verify: False trusts any server: for tests behind a wall only.
    """

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """A context for connections to servers, TLS 1.2 at least.

        Raises:
            BackendSettingsError: A file is missing, or is no such PEM file.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise BackendSettingsError(
                f"the files of {self} cannot be used for TLS ({error}); "
                "name PEM files that this user can read"
            ) from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
