"""Run by the interpreter that has OpenAI's Agents SDK: a tool loop in each of its ways, and a typed reply."""

import asyncio
import json
import sys

from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled  # type: ignore[import-not-found]
from openai import AsyncOpenAI
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    age: int


@function_tool  # type: ignore[untyped-decorator]
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


async def main(url: str, name: str) -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=url, api_key="unused", max_retries=0)
    model = OpenAIResponsesModel(name, client)
    agent = Agent(name="Weather", instructions="Be brief.", tools=[weather], model=model)
    said = {"plain": (await Runner.run(agent, "Use weather for 'Paris'")).final_output}
    streamed = Runner.run_streamed(agent, "Use weather for 'Oslo'")
    async for _ in streamed.stream_events():
        pass
    said["streamed"] = streamed.final_output
    by_id = await Runner.run(agent, "Use weather for 'Rome'", auto_previous_response_id=True)
    said["by id"] = by_id.final_output
    more = [*by_id.to_input_list(), {"role": "user", "content": "Say exactly: thanks"}]
    said["by history"] = (await Runner.run(agent, more)).final_output
    typed = await Runner.run(Agent(name="People", output_type=Person, model=model), "Invent 'Ann' aged 7")
    said["typed"] = typed.final_output.model_dump()
    print(json.dumps(said))


asyncio.run(main(*sys.argv[1:]))
