import subprocess
import sys

import pytest

from ghostd.media_types import media_type_of


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.png", "image/png"),
        ("/docs/Report.PDF", "application/pdf"),
        ("photo.webp", "image/webp"),
        ("notes.txt", "text/plain"),
        ("folder.png/readme", None),
        ("a.unheard-of", None),
        ("", None),
    ],
)
def test_the_suffix_tells(name: str, media_type: str | None) -> None:
    assert media_type_of(name) == media_type


def test_no_table_of_the_system_is_read() -> None:
    """Requests ask in the event loop."""
    code = "import mimetypes, ghostd.media_types as own; own.media_type_of('a.png'); print(mimetypes.inited)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
