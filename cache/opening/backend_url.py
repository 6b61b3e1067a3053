"""The URL of a backend, taken apart. Nothing that it says to anybody holds a secret.

The form is that of RFC 3986: `scheme://user:password@host:port,host:port/path?option=value`, with
several hosts where the engine takes several. Everything is percent-decoded here, once.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from typing_extensions import override

from torchstash.cache.errors import BackendSettingsError
from torchstash.cache.opening.option_types import OptionType

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PORT = re.compile(r"[0-9]{1,5}")


class Place(NamedTuple):
    """One host of a URL. `port` is None where the URL leaves it to the engine."""

    host: str
    port: int | None


@dataclass(frozen=True, slots=True, repr=False)
class BackendUrl:
    """One URL. `str` and `repr` leave out user, password and the values of options.

    Attributes:
        scheme: In lower case.
        places: Its hosts, IPv6 addresses without brackets. Empty: `file:///path`, `memory:`.
        username: None: it names none.
        password: None: it gives none.
        path: Percent-decoded; begins with `/` wherever there is a host.
        query: Options as they stand there, percent-decoded.
        taken: Names of the options that `open_backend` has read on its own account.
    """

    scheme: str
    places: tuple[Place, ...] = ()
    username: str | None = None
    password: str | None = None
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()
    taken: frozenset[str] = field(default=frozenset())

    @property
    def host(self) -> str:
        """The first host.

        Raises:
            BackendSettingsError: There is none.
        """
        if not self.places:
            raise self.wrong("names no host", f"write {self.scheme}://host")
        return self.places[0].host

    @property
    def port(self) -> int | None:
        """The port of the first host, if one is named."""
        return self.places[0].port if self.places else None

    def options(self, **types: OptionType[Any]) -> dict[str, Any]:
        """The options of the URL as keyword arguments: only those that it has.

        This is the one call that an engine makes, with all the options that it knows.

        Args:
            **types: By the argument that an option becomes.

        Raises:
            BackendSettingsError: It has one that is not known, twice, or of another type.
        """
        arguments = {(kind.name or argument): argument for argument, kind in types.items()}
        values = {}
        for name, text in self.query:
            if name in self.taken:
                continue
            if name not in arguments:
                raise self._unknown_option(name, [*arguments, *self.taken])
            argument = arguments[name]
            values[argument] = self._parse(name, text, types[argument])
        return values

    def take(self, **types: OptionType[Any]) -> "tuple[dict[str, Any], BackendUrl]":
        """Some of the options, and the URL whose `options` pass them over."""
        names = frozenset(kind.name or argument for argument, kind in types.items())
        mine = tuple(pair for pair in self.query if pair[0] in names)
        values = self._with(query=mine).options(**types)
        return values, self._with(taken=self.taken | names)

    def without_taken(self) -> "BackendUrl":
        """The same URL, every option still to be read."""
        return self._with(taken=frozenset())

    def wrong(self, found: str, advice: str) -> BackendSettingsError:
        """The error that says what is wrong with this URL, and what to do."""
        return BackendSettingsError(f"the cache URL {self} {found}; {advice}")

    def _with(self, **changes: Any) -> "BackendUrl":  # noqa: ANN401 - fields of any type
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return BackendUrl(**(kept | changes))

    def _parse(self, name: str, text: str, kind: OptionType[Any]) -> object:
        try:
            return kind.parse(text)
        except ValueError:
            found = "has another value" if kind.is_secret else f"has {name}={text!r}"
            raise self.wrong(found, f"{name} is {kind.expected}") from None

    def _unknown_option(self, name: str, known: Iterable[str]) -> BackendSettingsError:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        has = ", ".join(known) or "none"
        return self.wrong(f"has the unknown option {name!r}", f"{hint}There are: {has}")

    @override
    def __str__(self) -> str:
        user = "***@" if self.username is not None or self.password is not None else ""
        hosts = ",".join(_place_text(place) for place in self.places)
        authority = f"//{user}{hosts}" if user or hosts or self.path.startswith("/") else ""
        names = "&".join(f"{name}=..." for name, _ in self.query)
        return f"{self.scheme}:{authority}{self.path}" + (f"?{names}" if names else "")

    @override
    def __repr__(self) -> str:
        return f"BackendUrl({str(self)!r})"


def parse_backend_url(text: str) -> BackendUrl:
    """Take one URL apart, without `|`.

    Raises:
        BackendSettingsError: It is no such URL. The message does not repeat it: a part that was
            meant to be a password may stand anywhere in it.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise BackendSettingsError(
            "a cache URL has no scheme; begin it with one, as in file:///var/cache/torchstash"
        )
    scheme = scheme.lower()
    if "#" in rest or any(character.isspace() for character in rest):
        raise BackendSettingsError(
            f"a cache URL of the scheme {scheme} holds '#' or white space; write %23, %20 and so "
            "on for them, in a password too"
        )
    rest, _, query_text = rest.partition("?")
    authority, path = "", rest
    if rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        path = slash + path
    userinfo, at, hosts = authority.rpartition("@")
    username, colon, password = userinfo.partition(":")
    url = BackendUrl(
        scheme,
        tuple(_parse_place(scheme, place) for place in hosts.split(",") if place),
        unquote(username) if username else None,
        unquote(password) if at and colon else None,
        unquote(path),
        tuple(_parse_option(scheme, part) for part in query_text.split("&") if part),
    )
    names = [name for name, _ in url.query]
    for name in names:
        if names.count(name) > 1:
            raise url.wrong(f"has the option {name!r} more than once", "give it once")
    return url


def _parse_place(scheme: str, text: str) -> Place:
    host, colon, port = text, "", ""
    if not text.endswith("]"):
        host, colon, port = text.rpartition(":")
        if not colon:
            host, port = port, ""
    if colon and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise BackendSettingsError(
            f"a cache URL of the scheme {scheme} has a port that is no number up to 65535; a "
            "password that holds '@', '/' or ':' must have them percent-encoded (%40, %2F, %3A)"
        )
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare and bare == host):
        raise BackendSettingsError(
            f"a cache URL of the scheme {scheme} has a host that is none; write a name, an "
            "address, or an IPv6 address in brackets"
        )
    return Place(unquote(bare), int(port) if colon else None)


def _parse_option(scheme: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BackendSettingsError(
            f"a cache URL of the scheme {scheme} has an option without a value; write name=value, "
            "and %26 for '&' inside a value"
        )
    return unquote(name), unquote(value)


def _place_text(place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return host if place.port is None else f"{host}:{place.port}"
