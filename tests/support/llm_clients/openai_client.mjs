// Calls of the `openai` client of Node; the same lines in and out as driver.py.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const OpenAI = createRequire(`${process.env.LLM_CLIENTS}/package.json`)("openai").OpenAI;

const messages = [
  { role: "system", content: "You are a clerk of the post." },
  { role: "user", content: "Where is my parcel? 📦 It left Zürich." },
];
const tool = (name) => ({
  type: "function",
  function: { name, parameters: { type: "object", properties: { city: { type: "string" } } } },
});
const chat = { model: "gpt-4o-mini", messages, temperature: 0.2 };
const tools = { tools: [tool("weather"), tool("forecast")] };
const counted = { stream: true, stream_options: { include_usage: true } };

let seen = [];

// The response as the client gets it, with a copy of its bytes kept.
async function fetchAndKeep(url, options) {
  const response = await fetch(url, options);
  const [theirs, ours] = response.body ? response.body.tee() : [null, null];
  seen.push({ status: response.status, headers: [...response.headers], body: ours ? readAll(ours) : [] });
  return new Response(theirs, { status: response.status, headers: response.headers });
}

// As much as came: a stream that breaks is the client's to report.
async function readAll(stream) {
  const chunks = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch {
    return chunks;
  }
  return chunks;
}

const client = (call) =>
  new OpenAI({
    baseURL: `${call.url}/v1`,
    apiKey: call.key,
    defaultHeaders: call.headers,
    maxRetries: 0,
    timeout: 60000,
    fetch: fetchAndKeep,
  });

async function read(stream) {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
}

const cases = {
  plain: (call) => client(call).chat.completions.create(chat),
  stream: async (call) => read(await client(call).chat.completions.create({ ...chat, ...counted })),
  tools: (call) => client(call).chat.completions.create({ ...chat, ...tools }),
  stream_tools: async (call) => read(await client(call).chat.completions.create({ ...chat, ...tools, ...counted })),
  responses_stream: async (call) =>
    read(await client(call).responses.create({ model: "gpt-4o-mini", input: "Where is it?", stream: true })),
  embeddings: (call) => client(call).embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] }),
};

async function told(kept) {
  const body = Buffer.concat(await kept.body);
  return { status: kept.status, headers: kept.headers, body: body.toString("base64") };
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  seen = [];
  let answer;
  try {
    answer = { result: await cases[call.case](call) };
  } catch (error) {
    const { status = null, message, error: body = null } = error;
    answer = { error: { type: error.constructor.name, status, text: message, body } };
  }
  console.log(JSON.stringify({ ...answer, http: await Promise.all(seen.map(told)) }));
}
