// The official OpenAI client for JavaScript, unchanged, against a server that runs.
//
// Everything it needs is in the environment: URL, KEY, PROJECT, and CLIENT, where the client lies. It
// exits with 0 when all held.

import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

// A guard against a hang, which no end of a session may be.
const GUARD_MS = 120_000;

const { URL: SERVER, KEY, PROJECT, CLIENT } = process.env;
const { default: OpenAI } = await import(pathToFileURL(CLIENT));
const BASE = `${SERVER}/v1/projects/${PROJECT}`;
const LOOK = {
  type: "function",
  function: {
    name: "look_up",
    description: "Looks an order up.",
    parameters: { type: "object", properties: { order: { type: "integer" } } },
  },
};

function client(session, { apiKey = KEY, maxRetries = 0 } = {}) {
  const defaultHeaders = session ? { "X-Session-ID": session } : {};
  return new OpenAI({ baseURL: BASE, apiKey, defaultHeaders, maxRetries });
}

const user = (content) => ({ role: "user", content });
const results = (calls) =>
  calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "shipped" }));
const text = (chunks) => chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");

async function collected(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

async function end(session) {
  const answer = await fetch(`${BASE}/sessions`, {
    method: "DELETE",
    headers: { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ session_id: session }),
  });
  assert.equal((await answer.json()).success, true);
}

async function plain() {
  const asked = { model: "any", messages: [user("hello")], user: "ann@example.com" };
  const { data, response } = await client("js-plain").chat.completions.create(asked).withResponse();
  assert.equal(response.headers.get("x-session-id"), "js-plain");
  assert.ok(data.id.startsWith("chatcmpl-"));
  assert.equal(data.model, "pathway-default");
  assert.deepEqual(data.choices[0].message, { role: "assistant", content: "You said: hello" });
  assert.equal(data.choices[0].finish_reason, "stop");
  assert.equal(data.usage.total_tokens, -1);
  assert.equal(data.session_id, "js-plain");
}

async function namedInTheBody() {
  const session_id = "caf\u00e9 \u{1f44b}";
  for (let times = 0; times < 2; times += 1) {
    const asked = { model: "any", messages: [user("hello")], session_id };
    const { data, response } = await client().chat.completions.create(asked).withResponse();
    assert.equal(data.session_id, session_id);
    // In this language headers are read byte by byte: these are the name's UTF-8.
    const header = Buffer.from(response.headers.get("x-session-id"), "latin1").toString("utf8");
    assert.equal(header, session_id);
    // What was read can be sent as it is, and names the same session.
    const same = client(response.headers.get("x-session-id")).chat.completions;
    const again = await same.create({ model: "any", messages: [user("hello")] });
    assert.equal(again.session_id, session_id);
  }
  const made = await client().chat.completions.create({ model: "any", messages: [user("hello")] });
  assert.ok(made.session_id);
}

async function streaming() {
  const talk = client("js-stream").chat.completions;
  const asked = { model: "any", messages: [user("hello")], stream: true };
  const { data, response } = await talk.create(asked).withResponse();
  assert.equal(response.headers.get("x-session-id"), "js-stream");
  const chunks = await collected(data);
  assert.equal(text(chunks), "You said: hello");
  assert.ok(chunks.every((chunk) => chunk.session_id === "js-stream"));
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  const told = talk.stream({ model: "any", messages: [user("again")] });
  assert.equal(await told.finalContent(), "You said: again");
}

async function tools() {
  const talk = client("js-tools").chat.completions;
  const messages = [user("both orders")];
  const completion = await talk.create({ model: "any", messages, tools: [LOOK] });
  const [choice] = completion.choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.equal(choice.message.content, null);
  const calls = choice.message.tool_calls;
  const asked = calls.map((call) => JSON.parse(call.function.arguments));
  assert.deepEqual(asked, [{ order: 7 }, { order: 8 }]);
  const answered = await talk.create({ model: "any", messages: results(calls), tools: [LOOK] });
  assert.equal(answered.choices[0].message.content, "You said: both orders");
}

// The client's own loop: it runs the tools, and sends the whole conversation back.
async function toolLoop() {
  const orders = [];
  const look = {
    ...LOOK.function,
    parse: JSON.parse,
    function: ({ order }) => {
      orders.push(order);
      return "shipped";
    },
  };
  for (const stream of [false, true]) {
    const talk = client(`js-loop-${stream}`).chat.completions;
    const run = talk.runTools({
      model: "any",
      stream,
      messages: [user("both orders")],
      tools: [{ type: "function", function: look }],
    });
    assert.equal(await run.finalContent(), "You said: both orders");
  }
  assert.deepEqual(orders, [7, 8, 7, 8]);
}

async function streamedTools() {
  const talk = client("js-streamed-tools").chat.completions;
  const told = talk.stream({ model: "any", messages: [user("both orders")], tools: [LOOK] });
  const message = await told.finalMessage();
  assert.deepEqual(message.tool_calls.map((call) => call.id), ["call_1", "call_2"]);
  const messages = results(message.tool_calls);
  const chunks = await collected(
    await talk.create({ model: "any", messages, tools: [LOOK], stream: true }),
  );
  assert.equal(text(chunks), "You said: both orders");
}

async function errors() {
  const talk = client("js-errors").chat.completions;
  for (const stream of [false, true]) {
    const wrong = client("js-errors", { apiKey: "wrong" }).chat.completions;
    await assert.rejects(wrong.create({ model: "any", messages: [user("hello")], stream }), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError);
      assert.equal(error.status, 401);
      return error.message.includes("Invalid authentication");
    });
    await assert.rejects(talk.create({ model: "any", messages: [], stream }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      return error.status === 400 && error.message.includes("messages must be a non-empty array");
    });
    const refused = talk.create({ model: "any", messages: [user("refuse")], stream });
    await assert.rejects(refused, OpenAI.InternalServerError);
  }
  // A client that tries again by itself doubles nothing.
  const patient = client("js-errors", { maxRetries: 1 }).chat.completions;
  const refused = patient.create({ model: "any", messages: [user("refuse")] });
  await assert.rejects(refused, OpenAI.InternalServerError);
  const heard = [];
  const cut = async () => {
    const stream = await talk.create({ model: "any", messages: [user("cut")], stream: true });
    for await (const chunk of stream) heard.push(chunk.choices[0].delta.content);
  };
  await assert.rejects(cut(), (error) => {
    assert.ok(error instanceof OpenAI.APIError);
    return JSON.stringify(error.error).includes("could not answer");
  });
  assert.deepEqual(heard, ["Once "]);
}

async function endInMidStream() {
  const asked = { model: "any", messages: [user("stall")], stream: true };
  const stream = await client("js-end").chat.completions.create(asked);
  const chunks = [];
  for await (const chunk of stream) {
    if (chunks.length === 0) await end("js-end");
    chunks.push(chunk);
  }
  assert.equal(chunks[0].choices[0].delta.content, "Once ");
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.equal(chunks.at(-1).session_ended, true);
}

setTimeout(() => {
  console.error("it hangs");
  process.exit(1);
}, GUARD_MS).unref();
const cases = [
  plain,
  namedInTheBody,
  streaming,
  tools,
  toolLoop,
  streamedTools,
  errors,
  endInMidStream,
];
for (const held of cases) {
  await held();
  console.log("held:", held.name);
}
