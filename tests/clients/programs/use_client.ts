// What a user of the generated TypeScript client writes; prints what it saw as JSON.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Run = components["schemas"]["WorkflowRun"];
type Conflict = components["schemas"]["ConflictProblem"];

const [url, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url!, headers: { Authorization: `Bearer ${key}` } });

async function create() {
  const request = {
    params: { header: { "Idempotency-Key": "typescript-1" } },
    body: {
      workflow_name: "nightly_etl",
      workflow_version: "1.0.0",
      inputs: { day: 31 },
      tags: { client: "typescript" },
    },
  };
  const first = await client.POST("/v1/workflow-runs", request);
  const again = await client.POST("/v1/workflow-runs", request);
  const run: Run = first.data!;
  return {
    run,
    facts: {
      created: [first.response.status, again.response.status],
      same_run: run.workflow_run_id === again.data!.workflow_run_id,
      inputs: again.data!.inputs,
    },
  };
}

async function find() {
  const { data } = await client.GET("/v1/workflow-runs", {
    params: {
      query: { workflow_name: ["nightly_etl"], tag: ["client:typescript"], order: "-created_at", limit: 10 },
    },
  });
  return data!.items.map((run) => run.status);
}

async function complete(run: Run) {
  const { data } = await client.PATCH("/v1/workflow-runs/{workflow_run_id}", {
    params: { path: { workflow_run_id: run.workflow_run_id }, header: { "If-Match": '"1"' } },
    headers: { "Content-Type": "application/merge-patch+json" },
    body: { status: "completed", result: { rows: 3 }, tags: { client: null } },
  });
  return { status: data!.status, result: data!.result, tags: data!.tags };
}

async function beRefused(run: Run) {
  const path = { workflow_run_id: run.workflow_run_id };
  const refused = await client.PATCH("/v1/workflow-runs/{workflow_run_id}", {
    params: { path },
    body: { status: "failed" },
  });
  const conflict = refused.error as Conflict;
  const unknown = await client.GET("/v1/workflow-runs/{workflow_run_id}", {
    params: { path: { workflow_run_id: "00000000-0000-0000-0000-000000000000" } },
  });
  return { conflict: conflict.code, allowed: conflict.allowed, unknown: unknown.error!.code };
}

const { run, facts } = await create();
const found = await find();
const completed = await complete(run);
const refused = await beRefused(run);
console.log(JSON.stringify({ ...facts, found, completed, refused }));
