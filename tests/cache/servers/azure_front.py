"""Azure's Blob service on top of an S3 server: as much of it as values by key need.

Conditions are the same in both; names of headers, codes of errors and lists are not
(learn.microsoft.com/rest/api/storageservices/blob-service-rest-api).
"""

import email.utils
import re
from base64 import b64encode
from datetime import datetime
from urllib.parse import parse_qs, quote, unquote, urlencode
from xml.etree import ElementTree as ET

from typing_extensions import override

from torchstash.tests.cache.servers.s3_front import Message, S3Front

ACCOUNT = "stash"
ACCOUNT_KEY = b64encode(b"right").decode()

_S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_CODES = {b"NoSuchKey": b"BlobNotFound", b"NoSuchBucket": b"ContainerNotFound"}
_DELETION = re.compile(
    rb"Content-ID: *(\d+).*?\r\n\r\nDELETE (\S+) HTTP", re.DOTALL | re.IGNORECASE
)
_BOUNDARY = "batchresponse"
_PART = (
    b"--batchresponse\r\nContent-Type: application/http\r\nContent-ID: %b\r\n\r\n"
    b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%b\r\n"
)


class AzureFront(S3Front):
    """Knows one account."""

    @override
    def refusal(self, authorization: str) -> Message | None:
        if authorization.startswith(f"SharedKey {ACCOUNT}:"):
            return None
        return Message({}, b"<Error><Code>AuthenticationFailed</Code></Error>", status=403)

    @override
    def respond(self, method: str, request: Message) -> Message:
        """A batch is so many deletions, one after the other."""
        if method != "POST":
            return super().respond(method, request)
        parts = b""
        for content_id, target in _DELETION.findall(request.body):
            one = super().respond("DELETE", Message({}, b"", target.decode()))
            status = 202 if one.status < 300 else one.status
            parts += _PART % (content_id, status, len(one.body), one.body)
        headers = {"content-type": f"multipart/mixed; boundary={_BOUNDARY}"}
        return Message(headers, parts + b"--%b--" % _BOUNDARY.encode(), status=202)

    @override
    def to_s3(self, request: Message) -> None:
        path, _, query = request.target.partition("?")
        request.target = quote(unquote(path))
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        if asked.get("comp") == "list":
            listed = {"list-type": "2", "prefix": asked.get("prefix", "")}
            if "marker" in asked:
                listed["continuation-token"] = asked["marker"]
            request.target += "?" + urlencode(listed)
        request.headers = {
            name.replace("x-ms-meta", "x-amz-meta"): value
            for name, value in request.headers.items()
            if not name.startswith("x-ms-") or name.startswith("x-ms-meta")
        }

    @override
    def from_s3(self, answer: Message) -> None:
        answer.headers = {
            name.replace("x-amz-meta", "x-ms-meta"): value for name, value in answer.headers.items()
        }
        if b"<ListBucketResult" in answer.body[:200]:
            answer.body = _list(ET.fromstring(answer.body))
        elif answer.status >= 400:
            for ours, theirs in _CODES.items():
                answer.body = answer.body.replace(ours, theirs)


def _list(found: ET.Element) -> bytes:
    result = ET.Element("EnumerationResults")
    blobs = ET.SubElement(result, "Blobs")
    for item in found.iter(f"{_S3}Contents"):
        blob = ET.SubElement(blobs, "Blob")
        ET.SubElement(blob, "Name").text = item.findtext(f"{_S3}Key")
        properties = ET.SubElement(blob, "Properties")
        changed = datetime.fromisoformat(item.findtext(f"{_S3}LastModified", ""))
        ET.SubElement(properties, "Last-Modified").text = email.utils.format_datetime(
            changed, usegmt=True
        )
        ET.SubElement(properties, "Content-Length").text = item.findtext(f"{_S3}Size")
        ET.SubElement(properties, "Content-Type").text = "application/octet-stream"
        ET.SubElement(properties, "Etag").text = item.findtext(f"{_S3}ETag")
    ET.SubElement(result, "NextMarker").text = found.findtext(f"{_S3}NextContinuationToken", "")
    return ET.tostring(result)
