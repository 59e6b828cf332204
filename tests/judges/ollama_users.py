"""Uses Ollama's API through other people's libraries; says what came back as JSON. Arguments: library, URL, model."""

import asyncio
import json
import os
import sys


def langchain(url: str, model: str) -> dict[str, object]:
    from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM  # type: ignore[import-not-found]
    from pydantic import BaseModel

    class City(BaseModel):
        city: str

    def weather(city: str) -> str:
        """The weather in a city."""
        return f"sunny in {city}"

    options = {"temperature": 0, "num_predict": 64, "num_ctx": 512, "mirostat": 0, "repeat_last_n": 64, "top_k": 10}
    chat = ChatOllama(model=model, base_url=url, validate_model_on_init=True, keep_alive="5m", **options)
    called = chat.bind_tools([weather]).invoke("hi")
    return {
        "whole": chat.invoke("hi").content,
        "streamed": "".join(str(chunk.content) for chunk in chat.stream("hi")),
        "later": asyncio.run(chat.ainvoke("hi")).content,
        "calls": [(call["name"], call["args"]) for call in called.tool_calls],
        "structured": chat.with_structured_output(City).invoke("hi").city,
        "prompted": OllamaLLM(model=model, base_url=url).invoke("hi"),
        "vectors": len(OllamaEmbeddings(model=model, base_url=url).embed_documents(["a", "b"])),
    }


def litellm(url: str, model: str) -> dict[str, object]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm  # type: ignore[import-not-found]

    found: dict[str, object] = {}
    for dialect in ("ollama", "ollama_chat"):
        asked = {"model": f"{dialect}/{model}", "api_base": url, "messages": [{"role": "user", "content": "hi"}]}
        whole = litellm.completion(**asked, max_tokens=64)
        chunks = litellm.completion(**asked, max_tokens=64, stream=True)
        found[dialect] = [
            whole.choices[0].message.content,
            "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
            whole.usage.total_tokens > 0,
        ]
    found["vectors"] = len(litellm.embedding(model=f"ollama/{model}", api_base=url, input=["a", "b"]).data)
    return found


def llm(url: str, model: str) -> dict[str, object]:
    os.environ["OLLAMA_HOST"] = url
    import llm  # type: ignore[import-not-found]

    found = llm.get_model(f"ollama/{model}")
    return {
        "whole": found.prompt("hi", stream=False).text(),
        "streamed": "".join(found.prompt("hi", stream=True)),
    }


def llamaindex(url: str, model: str) -> dict[str, object]:
    from llama_index.core.llms import ChatMessage  # type: ignore[import-not-found]
    from llama_index.llms.ollama import Ollama  # type: ignore[import-not-found]

    found = Ollama(model=model, base_url=url, request_timeout=60)
    return {
        "whole": found.chat([ChatMessage(role="user", content="hi")]).message.content,
        "streamed": "".join(part.delta or "" for part in found.stream_chat([ChatMessage(role="user", content="hi")])),
        "prompted": found.complete("hi").text,
    }


if __name__ == "__main__":
    library, url, model = sys.argv[1:]
    print(json.dumps(globals()[library](url, model)))
