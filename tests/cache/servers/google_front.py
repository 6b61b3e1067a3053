"""Google's XML API on top of an S3 server.

Google made the two interchangeable but for credentials, the names of headers, and generations,
which stand where S3 has entity tags (cloud.google.com/storage/docs/xml-api/overview).
"""

from urllib.parse import quote, unquote

from typing_extensions import override

from torchstash.tests.cache.servers.s3_front import Message, S3Front

TOKEN = "right-token"

_CONDITION = "x-goog-if-generation-match"


class GoogleFront(S3Front):
    """Knows one token."""

    def __init__(self, s3_port: int) -> None:
        super().__init__(s3_port)
        # By generation.
        self._etags: dict[str, str] = {}

    @override
    def refusal(self, authorization: str) -> Message | None:
        if authorization == f"Bearer {TOKEN}":
            return None
        return Message({}, b"<Error><Code>AuthenticationRequired</Code></Error>", status=401)

    @override
    def to_s3(self, request: Message) -> None:
        path, mark, query = request.target.partition("?")
        request.target = quote(unquote(path)) + mark + query
        headers = {name.replace("goog-meta", "amz-meta"): v for name, v in request.headers.items()}
        generation = headers.pop(_CONDITION, None)
        if generation == "0":
            headers["if-none-match"] = "*"
        elif generation is not None:
            headers["if-match"] = self._etags.get(generation, '"none"')
        request.headers = headers

    @override
    def from_s3(self, answer: Message) -> None:
        headers = {name.replace("amz-meta", "goog-meta"): v for name, v in answer.headers.items()}
        etag = headers.get("etag")
        if etag is not None:
            generation = str(int(etag.strip('"')[:15], 16))
            self._etags[generation] = etag
            headers["x-goog-generation"] = generation
        answer.headers = headers
