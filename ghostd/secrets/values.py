"""What a secret may look like."""

from __future__ import annotations

from ghostd.errors import SecretError

MAX_CHARS = 16_384


def checked_value(text: str, where: str) -> str:
    """`text` without blanks around it; raises SecretError, headed by `where` and without the value.

    A key travels in an HTTP header, so that it is one line of printable ASCII.
    """
    value = text.strip()
    if not value:
        raise SecretError(f"{where}: the value is empty")
    if len(value) > MAX_CHARS:
        raise SecretError(f"{where}: the value has more than {MAX_CHARS} characters; that is no key")
    if "\n" in value or "\r" in value:
        raise SecretError(f"{where}: the value has more than one line; a key has one")
    if not (value.isascii() and value.isprintable()):
        raise SecretError(f"{where}: the value has characters that no HTTP header can hold (only printable ASCII can)")
    return value
