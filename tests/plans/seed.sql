-- 60,000 workflow runs of 90 days: 96 % completed, 2 % failed, 1 % cancelled, 0.9 % running, 0.1 % pending.
-- The open ones are recent, and the youngest of them are past their deadline or without a heartbeat; names, queues, callers and tags are skewed; `legacy_export` stopped running long ago.
CREATE TEMPORARY TABLE draft AS
SELECT
    i,
    now() - interval '90 days' + i * interval '90 days' / 60000 AS created_at,
    (hashint4(i)::bigint + 2147483648) / 4294967296.0 AS chance,
    (hashint4(i + 1000000)::bigint + 2147483648) / 4294967296.0 AS other_chance,
    (
        substr(lpad(to_hex((extract(epoch FROM now() - interval '90 days' + i * interval '90 days' / 60000) * 1000)::bigint), 12, '0'), 1, 12)
        || '7' || lpad(to_hex(i % 4096), 3, '0') || '8' || substr(md5(i::text), 1, 15)
    )::uuid AS workflow_run_id
FROM generate_series(1, 60000) AS i;

CREATE TEMPORARY TABLE staged AS
SELECT
    *,
    CASE
        WHEN i > 58200 AND i % 30 = 0 THEN 'pending'
        WHEN i > 58200 AND i % 30 IN (1, 4, 7, 10, 13, 16, 19, 22, 25) THEN 'running'
        WHEN chance < 0.02 THEN 'failed'
        WHEN chance < 0.03 THEN 'cancelled'
        ELSE 'completed'
    END AS status
FROM draft;

INSERT INTO workflow_runs (
    workflow_run_id, workflow_name, workflow_version, status, queue, inputs, result, error, tags, tag_texts, created_by,
    parent_workflow_run_id, task_count, revision, deadline_at, expected_by, late_at, reason, heartbeat_seconds, heartbeat_expires_at, created_at,
    started_at, completed_at, updated_at
)
SELECT
    staged.workflow_run_id,
    CASE WHEN i < 6000 AND i % 200 = 0 THEN 'legacy_export' ELSE 'flow_' || floor(40 * other_chance ^ 3)::int END,
    '1.' || floor(12 * chance)::int || '.0',
    status,
    CASE WHEN other_chance < 0.85 THEN 'default' WHEN other_chance < 0.999 THEN 'batch' ELSE 'gpu' END,
    json_build_object('day', i, 'source', 's3://lake/' || md5(i::text)),
    CASE WHEN status = 'completed' THEN json_build_object('rows', i) END,
    CASE WHEN status = 'failed' THEN json_build_object('name', 'ValueError', 'message', 'no such file') END,
    coalesce(tags, '{}')::json,
    tags,
    CASE WHEN chance < 0.2 THEN 'cron' WHEN chance < 0.3 THEN 'person_' || i % 50 END,
    parent_workflow_run_id,
    CASE WHEN chance > 0.5 THEN 10 END,
    CASE status WHEN 'pending' THEN 1 WHEN 'running' THEN 2 ELSE 3 END,
    CASE WHEN i % 5 = 0 THEN created_at + interval '100 days' * sign(59900.5 - i) END,
    CASE WHEN i % 5 = 0 THEN created_at + interval '95 days' * sign(59900.5 - i) END,
    CASE WHEN i % 500 = 0 THEN created_at + interval '1 day' END,
    CASE WHEN status = 'failed' AND i % 3 = 0 THEN 'lost' END,
    CASE WHEN i % 2 = 0 THEN 600 END,
    CASE WHEN i % 2 = 0 AND status = 'running' THEN now() + interval '1 hour' * sign(59900.5 - i) END,
    created_at,
    started_at,
    completed_at,
    coalesce(completed_at, started_at, created_at)
FROM staged
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN status = 'pending' OR (status = 'cancelled' AND i % 2 = 0) THEN NULL
            ELSE created_at + other_chance * interval '5 minutes' END AS started_at,
        CASE WHEN status IN ('pending', 'running') THEN NULL
            ELSE created_at + interval '5 minutes' + other_chance * interval '2 hours' END AS completed_at,
        CASE WHEN i % 10 < 6 THEN jsonb_build_object(
            'env', CASE WHEN i % 10 < 4 THEN 'prod' ELSE 'dev' END, 'team', 'team_' || i % 17, 'ticket', 'T-' || i / 20
        ) END AS tags,
        CASE WHEN i > 1000 AND i % 10 = 3 THEN i - i % 500 - 400 END AS parent_i
) AS facts
LEFT JOIN (SELECT i AS parent_i, workflow_run_id AS parent_workflow_run_id FROM draft) AS parent USING (parent_i);

INSERT INTO workflow_run_history (workflow_run_id, at, verb, from_status, to_status, attempt, actor)
SELECT workflow_run_id, created_at, 'create', NULL, 'pending', 1, 'anonymous' FROM workflow_runs ORDER BY created_at;
INSERT INTO workflow_run_history (workflow_run_id, at, verb, from_status, to_status, attempt, actor)
SELECT workflow_run_id, updated_at, 'update', 'pending', status, 1, 'anonymous' FROM workflow_runs
WHERE status <> 'pending' ORDER BY updated_at;

INSERT INTO idempotency_keys (scope, body, answer, created_at)
SELECT sha256(i::text::bytea), sha256(i::text::bytea), '{"queue": "' || repeat('x', 600) || '"}', now() - i * interval '5 seconds'
FROM generate_series(1, 20000) AS i;

DROP TABLE draft, staged;
