"""Mistral's own SDK fills a hole, whole and as a stream, and reads an error. Arguments: the server, the model."""

from __future__ import annotations

import json
import sys

from mistralai.client import Mistral  # type: ignore[import-not-found]
from mistralai.client.errors import SDKError  # type: ignore[import-not-found]


def main(url: str, model: str) -> None:
    with Mistral(api_key="unused", server_url=url) as client:
        reply = client.fim.complete(model=model, prompt="def f(", suffix="):\n", max_tokens=9, stop=["\n\n"])
        stream = client.fim.stream(model=model, prompt="def f(", suffix="):\n", temperature=0)
        events = [event.data for event in stream]
        try:
            client.fim.complete(model="nobody", prompt="x")
        except SDKError as error:
            refused = [error.status_code, json.loads(error.body)["code"]]
    said = {
        "whole": reply.choices[0].message.content,
        "total": reply.usage.total_tokens,
        "streamed": "".join(event.choices[0].delta.content for event in events),
        "finish": events[-1].choices[0].finish_reason,
        "counted": events[-1].usage.total_tokens,
        "refused": refused,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
