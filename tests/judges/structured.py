"""One structured reply by instructor and one by pydantic-ai; run by the interpreter that has them."""

# mypy: ignore-errors

from __future__ import annotations

import os

import instructor
from openai import OpenAI
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

BASE_URL, MODEL = os.environ["GHOSTD_BASE_URL"], os.environ["GHOSTD_MODEL"]
PROMPT = "Invent a person named 'Ann Lee' aged 42."


class Person(BaseModel):
    name: str
    age: int


for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(OpenAI(base_url=BASE_URL, api_key="unused", max_retries=0), mode=mode)
    messages = [{"role": "user", "content": PROMPT}]
    person = client.chat.completions.create(model=MODEL, response_model=Person, messages=messages, max_retries=0)
    print("instructor", person.model_dump_json())

model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=BASE_URL, api_key="unused"))
agent = Agent(model, output_type=Person)
print("pydantic-ai", agent.run_sync(PROMPT).output.model_dump_json())

asked = []
helper = Agent(model)


@helper.tool_plain
def weather(city: str) -> str:
    """The weather of a city."""
    asked.append(city)
    return f"sunny in {city}"


print("pydantic-ai", helper.run_sync("What is the weather in Paris?").output, asked)
