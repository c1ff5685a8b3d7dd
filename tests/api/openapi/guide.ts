// Runs the public guide through the generated TypeScript client. The arguments are the URL of an empty installation and
// a key of every scope.
import createClient from "openapi-fetch";

import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const [, , baseUrl, key] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });

function check(condition: unknown, message: string): asserts condition {
  if (!condition) {
    throw new Error(message);
  }
}

async function walk(projectId: number): Promise<number[]> {
  const ids: number[] = [];
  let cursor: string | undefined;
  do {
    const { data, response } = await client.GET("/documents", {
      params: { query: { project_id: projectId, limit: 2, cursor } },
    });
    check(data, "a page");
    ids.push(...data.map((document) => document.id));
    const next = response.headers.get("x-next");
    cursor = next === null ? undefined : (new URL(next).searchParams.get("cursor") ?? undefined);
  } while (cursor !== undefined);
  return ids;
}

async function change(id: number): Promise<void> {
  const params = { path: { document_id: id } };
  const tag = (await client.GET("/documents/{document_id}", { params })).response.headers.get("ETag");
  check(tag, "a tag");
  const unchanged = await client.GET("/documents/{document_id}", {
    params: { ...params, header: { "If-None-Match": tag } },
  });
  check(unchanged.response.status === 304, "a 304");
  const patch = () =>
    client.PATCH("/documents/{document_id}", {
      params: { ...params, header: { "If-Match": tag } },
      headers: { "Content-Type": "application/merge-patch+json" },
      body: { title: "Renamed", content: null },
    });
  const changed = await patch();
  check(changed.data?.title === "Renamed" && changed.data.content === undefined, "a changed document");
  const late = await patch();
  check(late.response.status === 412 && late.error?.error === "precondition_failed", "a lost race");
  check(late.response.headers.get("ETag") === changed.response.headers.get("ETag"), "the current tag");
  const wrong = await client.POST("/documents", { body: { title: "" } });
  check(wrong.error?.errors?.[0].location === "body.title", "the place of a fault");
  const copy = await client.POST("/documents/{document_id}/copy", { params });
  check(copy.data?.title === "Renamed" && copy.data.id !== id, "a copy");
  const copied = { path: { document_id: copy.data.id } };
  check((await client.DELETE("/documents/{document_id}", { params: copied })).response.status === 204, "a deletion");
  check((await client.GET("/documents/{document_id}", { params: copied })).error?.error === "not_found", "a 404");
}

async function batch(id: number): Promise<void> {
  const { data } = await client.POST("/documents/batch", {
    body: {
      operations: [
        { op: "create", value: { title: "Imported" } },
        { op: "delete", id },
        { op: "delete", id },
      ],
    },
  });
  check(data?.outcomes.map((outcome) => outcome.status).join() === "201,204,404", "an outcome for each operation");
}

const project = await client.POST("/projects", { body: { name: "Analytics experiments" } });
check(project.data, "a project");
for (let number = 0; number < 5; number += 1) {
  const request = {
    params: { header: { "Idempotency-Key": `guide-${project.data.id}-${number}` } },
    body: { title: `Script ${number}`, content: "step1 -> step2", project_id: project.data.id },
  };
  const created = await client.POST("/documents", request);
  const again = await client.POST("/documents", request);
  check(again.response.headers.get("Idempotency-Replayed") === "true", "a repeated answer");
  check(created.data?.id === again.data?.id, "one document");
}
const ids = await walk(project.data.id);
check(ids.length === 5 && new Set(ids).size === 5, "every document once");
await change(ids[0]);
await batch(ids[1]);
