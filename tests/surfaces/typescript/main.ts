// A client of the API that openapi-typescript has made, at work: what the
// compiler lets through is what the server takes.
//
// With API_URL and API_KEY.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Opportunity = components["schemas"]["Opportunity"];
type Stage = components["schemas"]["Stage"];

function env(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set`);
  return value;
}

const api = createClient<paths>({
  baseUrl: `${env("API_URL")}/v1`,
  headers: { authorization: `Bearer ${env("API_KEY")}` },
});

async function wonStage(): Promise<Stage> {
  const { data } = await api.GET("/pipelines");
  for (const { id } of data?.data ?? []) {
    const pipeline = await api.GET("/pipelines/{id}", { params: { path: { id } } });
    const stage = pipeline.data?.data.stages?.find((stage) => stage.is_won_stage);
    if (stage) return stage;
  }
  assert.fail("no stage wins");
}

async function create(name: string): Promise<Opportunity> {
  const { data, response } = await api.POST("/opportunities", {
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { name, value: 17470, tags: ["typed"] },
  });
  assert.equal(response.status, 201);
  assert.ok(data);
  assert.equal(data.data.status, "open");
  assert.deepEqual(data.data.tags.map((tag) => tag.name), ["typed"]);
  return data.data;
}

async function* listed(search: string): AsyncGenerator<Opportunity> {
  let cursor: string | undefined;
  do {
    const query = { search, limit: 2, ...(cursor ? { cursor } : {}) };
    const { data } = await api.GET("/opportunities", { params: { query } });
    assert.ok(data);
    yield* data.data;
    cursor = data.pagination.next_cursor ?? undefined;
  } while (cursor);
}

const stage = await wonStage();
const names = ["one", "two", "three", "four", "five"].map((name) => `TypeScript ${name}`);
const made: Opportunity[] = [];
for (const name of names) made.push(await create(name));

const [first] = made;
assert.ok(first);
const moved = await api.POST("/opportunities/{id}/move", {
  params: { path: { id: first.id } },
  body: { pipeline_id: stage.pipeline_id, stage_id: stage.id },
});
assert.equal(moved.data?.data.deal_id, first.id);
assert.equal(moved.data?.data.crm_pipeline_stages.is_won_stage, true);

const found: string[] = [];
for await (const { name, status, id } of listed("typescript")) {
  assert.equal(status, id === first.id ? "won" : "open");
  found.push(name);
}
assert.deepEqual(found, names.toReversed());

// An error has the same form whatever the operation.
const refused = await api.POST("/opportunities", { body: { name: " " } });
assert.equal(refused.error?.error.code, "MISSING_FIELDS");
assert.equal(refused.error?.error.status, 400);

for (const { id } of made) {
  const { response } = await api.DELETE("/opportunities/{id}", { params: { path: { id } } });
  assert.equal(response.status, 204);
}
console.log(`typescript: ${made.length} opportunities created, listed by pages and deleted, one moved`);
