// OpenAI's SDK for Node: each call once, and its own errors.
import assert from "node:assert/strict";
import OpenAI from "openai";

const { GHOSTD_BASE_URL: baseURL, GHOSTD_MODEL: model, GHOSTD_EMBED_MODEL: embedModel } = process.env;
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "Say exactly: pong 日本語 😀" }];

const whole = await client.chat.completions.create({ model, messages, max_completion_tokens: 50 });
assert.equal(whole.choices[0].message.content, "pong 日本語 😀");
assert.equal(whole.choices[0].finish_reason, "stop");
assert.match(whole._request_id, /^req_/);

let text = "";
let usage;
const options = { stream: true, stream_options: { include_usage: true } };
for await (const chunk of await client.chat.completions.create({ model, messages, ...options })) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, "pong 日本語 😀");
assert.ok(usage.completion_tokens > 0);

const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    parse: JSON.parse,
    function: ({ city }) => `sunny in ${city}`,
  },
};
const runner = client.chat.completions.runTools({
  model,
  messages: [{ role: "user", content: "What is the weather in Paris?" }],
  tools: [weather],
});
assert.equal(await runner.finalContent(), "The tool says: sunny in Paris");

const streamed = client.chat.completions.stream({
  model,
  messages: [{ role: "user", content: "Invent a person named 'Ann' aged 7." }],
  response_format: {
    type: "json_schema",
    json_schema: {
      name: "person",
      schema: { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } } },
    },
  },
});
assert.deepEqual(JSON.parse((await streamed.finalMessage()).content), { name: "Ann", age: 7 });

const completion = await client.completions.create({ model, prompt: "Say exactly: ping", max_tokens: 5 });
assert.equal(completion.object, "text_completion");
assert.ok(completion.choices[0].text.length > 0);

if (embedModel) {
  const found = await client.embeddings.create({ model: embedModel, input: ["a", "b"] });
  assert.deepEqual(found.data.map((item) => item.embedding.length), [8, 8]);
  const plain = await client.embeddings.create({ model: embedModel, input: "a", encoding_format: "float" });
  plain.data[0].embedding.forEach((value, at) => assert.ok(Math.abs(value - found.data[0].embedding[at]) < 1e-6));
}

const names = [];
for await (const listed of client.models.list()) names.push(listed.id);
assert.ok(names.includes(model));
assert.equal((await client.models.retrieve(model)).id, model);

await assert.rejects(client.chat.completions.create({ model: "nobody", messages }), OpenAI.NotFoundError);
await assert.rejects(
  client.chat.completions.create({ model, messages: "hi" }),
  (error) => error instanceof OpenAI.BadRequestError && error.param === "messages",
);

const cut = new AbortController();
const endless = await client.chat.completions.create({ model, messages, stream: true }, { signal: cut.signal });
for await (const _ of endless) cut.abort();
console.log("all is well");
