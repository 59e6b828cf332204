"""LangChain's own standard tests of chat models and embeddings, pointed at ghostd.

Run by the interpreter that has langchain-openai and langchain-tests, not by this project's: `test_judges` starts it.
"""

# mypy: ignore-errors

from __future__ import annotations

import os
from typing import Any

from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

BASE_URL = os.environ["GHOSTD_BASE_URL"]


class TestChat(ChatModelIntegrationTests):
    """A model that does what it is asked."""

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": os.environ["GHOSTD_MODEL"],
            "base_url": BASE_URL,
            "api_key": "unused",
            "max_retries": 0,
            "stream_usage": True,
        }

    @property
    def structured_output_kwargs(self) -> dict[str, Any]:
        return {"method": "json_schema"}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return False  # they download pictures

    @property
    def supports_image_tool_message(self) -> bool:
        return False


if os.environ.get("GHOSTD_EMBED_MODEL"):

    class TestEmbeddings(EmbeddingsIntegrationTests):
        """Vectors."""

        @property
        def embeddings_class(self) -> type[OpenAIEmbeddings]:
            return OpenAIEmbeddings

        @property
        def embedding_model_params(self) -> dict[str, Any]:
            return {
                "model": os.environ["GHOSTD_EMBED_MODEL"],
                "base_url": BASE_URL,
                "api_key": "unused",
                "check_embedding_ctx_length": False,
            }
