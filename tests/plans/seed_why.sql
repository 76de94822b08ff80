-- A million tasks: 700,000 that have ended, in one run, and 300,000 that are ready on one queue, 10 of them of that run.
SET session_replication_role = replica;

INSERT INTO queues (queue, max_concurrency) VALUES ('crowd', 100), ('default', NULL);

INSERT INTO queue_workers (queue, worker_id, seen_at, task_names)
SELECT 'crowd', 'worker-' || i, now() - i * interval '1 second', CASE WHEN i % 2 = 0 THEN ARRAY['task_1'] END
FROM generate_series(1, 20000) AS i;

INSERT INTO workflow_runs (
    workflow_run_id, workflow_name, workflow_version, status, queue, inputs, tags, tag_texts, created_at, started_at
)
VALUES ('01890000-0000-7000-8000-000000000001', 'flow', '1', 'running', 'crowd', '{}', '{}', '{}', now(), now());

INSERT INTO tasks (
    task_id, run_id, queue, task_name, params, headers, priority, workflow_run_id, max_attempts, status, created_at,
    available_at, completed_at, updated_at, ready_at
)
SELECT
    ('01890000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, gen_random_uuid(), 'crowd', 'task_' || i % 20, '{}', '{}',
    i % 3, CASE WHEN is_ended OR i > 999990 THEN '01890000-0000-7000-8000-000000000001'::uuid END, 1,
    CASE WHEN is_ended THEN 'completed' ELSE 'pending' END, at, at, CASE WHEN is_ended THEN at END, at,
    CASE WHEN NOT is_ended THEN at END
FROM generate_series(1, 1000000) AS i
CROSS JOIN LATERAL (SELECT i <= 700000 AS is_ended, now() - (1000000 - i) * interval '1 second' AS at) AS facts;
