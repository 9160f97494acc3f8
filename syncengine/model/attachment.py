"""An attachment of an activity: a file by the digest of its content, or a link.

Activities hold attachments as a set of texts (`Attachment.text`), so that they are merged, kept in history and sent
like any other list; contents travel separately, by digest (ATT-1). A link is kept as a link, and never fetched unasked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_DIGEST = re.compile("[0-9a-f]{64}")
LONGEST_NAME = 255
LONGEST_URI = 4000


@dataclass(frozen=True, slots=True, order=True)
class Attachment:
    """`digest`: SHA-256 of the content in lower-case hex, with its `size` in bytes; or `uri`, a link, with neither."""

    name: str
    media_type: str = "application/octet-stream"
    digest: str = ""
    size: int = 0
    uri: str = ""

    @property
    def text(self) -> str:
        """The one text this attachment has, whoever writes it."""
        if self.uri:
            fields: dict[str, object] = {"name": self.name, "type": self.media_type, "uri": self.uri}
        else:
            fields = {"digest": self.digest, "name": self.name, "size": self.size, "type": self.media_type}
        return json.dumps(fields, ensure_ascii=False, sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> Attachment:
        """The attachment a text stands for. Raises ValueError."""
        raw = json.loads(text)
        if not isinstance(raw, dict) or not isinstance(name := raw.get("name"), str) or len(name) > LONGEST_NAME:
            raise ValueError("an attachment has a name of up to 255 characters")
        media_type, uri = str(raw.get("type") or "application/octet-stream"), raw.get("uri")
        if uri:
            if not isinstance(uri, str) or len(uri) > LONGEST_URI:
                raise ValueError("the link of an attachment is too long")
            return cls(name, media_type, uri=uri)
        digest, size = raw.get("digest"), raw.get("size")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ValueError("an attachment has the SHA-256 of its content, or a link")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ValueError("an attachment has a size in bytes")
        return cls(name, media_type, digest, size)
