-- 100,000 tasks that have ended, in 100 runs and outside of any, and 600 open ones of the last hour, some of them overdue.
INSERT INTO queues (queue) VALUES ('default'), ('other');

INSERT INTO workflow_runs (
    workflow_run_id, workflow_name, workflow_version, status, queue, inputs, tags, tag_texts, revision, created_at,
    started_at, updated_at, cancel_requested_at, cancel_due_at
)
SELECT
    ('01890000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'flow', '1', 'running', 'default', '{}', '{}', '{}', 2,
    now() - interval '30 days', now() - interval '30 days', now() - interval '30 days',
    CASE WHEN i <= 5 THEN now() END, CASE WHEN i <= 5 THEN now() + interval '1 hour' * sign(3.5 - i) END
FROM generate_series(1, 100) AS i;

INSERT INTO tasks (
    task_id, run_id, queue, task_name, params, headers, priority, workflow_run_id, max_attempts, idempotency_key, status,
    attempt, result, claimed_by, lease_token, created_at, available_at, first_started_at, started_at, completed_at,
    cancelled_at, updated_at, revision
)
SELECT
    ('01890000-0000-7' || lpad(to_hex(i % 4096), 3, '0') || '-8000-' || lpad(to_hex(i), 12, '0'))::uuid, gen_random_uuid(),
    CASE WHEN i % 10 < 9 THEN 'default' ELSE 'other' END, 'task_' || i % 20, json_build_object('n', i), '{}', 0,
    CASE WHEN i % 2 = 0 THEN ('01890000-0000-7000-8000-' || lpad(to_hex(1 + (i - 1) / 1000), 12, '0'))::uuid END,
    3, CASE WHEN i % 5 = 0 THEN 'key-' || i END, status, 1, '{}', 'worker-' || i % 50, gen_random_uuid(),
    at, at, at, at, at + interval '1 minute', CASE status WHEN 'cancelled' THEN at + interval '1 minute' END, at, 3
FROM generate_series(1, 100000) AS i
CROSS JOIN LATERAL (
    SELECT now() - interval '20 days' + i * interval '20 days' / 100001 AS at,
        CASE WHEN i % 100 < 96 THEN 'completed' WHEN i % 100 < 99 THEN 'failed' ELSE 'cancelled' END AS status
) AS facts;

INSERT INTO tasks (
    task_id, run_id, queue, task_name, params, headers, priority, workflow_run_id, max_attempts, concurrency_key, status,
    attempt, created_at, ready_at, due_at, limit_at, claimed_by, lease_token, lease_expires_at, first_started_at,
    started_at
)
SELECT
    ('01910000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, gen_random_uuid(), 'default', 'task_' || i % 20, '{}', '{}',
    i % 3, CASE WHEN i % 2 = 0 THEN ('01890000-0000-7000-8000-' || lpad(to_hex(1 + i / 2 % 100), 12, '0'))::uuid END,
    3, CASE WHEN i % 10 = 5 THEN 'key-' || i % 4 END, status, 1, now() - interval '1 hour',
    CASE WHEN i <= 200 THEN now() END,
    CASE WHEN status = 'sleeping' THEN now() + interval '1 hour' * sign(430.5 - i) END,
    CASE WHEN i % 4 = 0 THEN now() + interval '1 hour' * sign(i % 20 - 2) END,
    CASE status WHEN 'running' THEN 'worker-' || i % 50 END,
    CASE status WHEN 'running' THEN gen_random_uuid() END,
    CASE status WHEN 'running' THEN now() + interval '1 hour' * sign(i - 230.5) END,
    CASE WHEN status <> 'pending' THEN now() - interval '1 hour' END,
    CASE WHEN status <> 'pending' THEN now() - interval '1 hour' END
FROM generate_series(1, 600) AS i
CROSS JOIN LATERAL (
    SELECT CASE WHEN i <= 200 THEN 'pending' WHEN i <= 400 AND i % 10 <> 5 THEN 'running' ELSE 'sleeping' END AS status
) AS facts;

INSERT INTO event_waits (task_id, event_name, queue)
SELECT task_id, 'event-' || sequence % 50, queue FROM tasks WHERE status = 'sleeping';
INSERT INTO task_attempts (run_id, task_id, attempt, status, claimed_by, lease_token, started_at, ended_at)
SELECT run_id, task_id, attempt, status, claimed_by, lease_token, started_at, completed_at FROM tasks
WHERE completed_at IS NOT NULL;
