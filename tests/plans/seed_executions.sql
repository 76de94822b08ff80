-- 3,000 executed runs, 2,900 of them ended, with ten steps each; one run with 20,000 steps in 2,000 iterations.
INSERT INTO workflows (
    workflow_id, workflow_name, workflow_version, workflow_hash, description, document, source, media_type, warnings,
    created_by
)
VALUES (
    '01890000-0000-7000-8000-000000000001', 'seeded', '1', repeat('0', 64), '', '{}', '{}', 'application/json', '[]',
    'anonymous'
);

CREATE TEMPORARY TABLE seeded AS
SELECT number, ('01890000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid AS id, number <= 2900 AS has_ended
FROM generate_series(1, 3001) AS number;

INSERT INTO workflow_runs (
    workflow_run_id, workflow_name, workflow_version, queue, inputs, tags, tag_texts, status, workflow_id,
    data_interval_start, data_interval_end, created_at, started_at, completed_at, parent_workflow_run_id,
    cancel_requested_at, cancel_due_at
)
SELECT
    id, 'seeded', '1', 'default', '{}', '{}', '{}', CASE WHEN has_ended THEN 'completed' ELSE 'running' END,
    '01890000-0000-7000-8000-000000000001', now(), now(), now(), now(), CASE WHEN has_ended THEN now() END,
    CASE WHEN number % 10 = 5 THEN ('01890000-0000-7000-8000-' || lpad(to_hex(number - 1), 12, '0'))::uuid END,
    CASE WHEN number IN (2995, 2996) THEN now() END, CASE WHEN number IN (2995, 2996) THEN now() END
FROM seeded ORDER BY number;

INSERT INTO workflow_executions (
    workflow_run_id, workflow_id, strict_templates, run, memory, breakers, parent_step, parent_child, deadline_at
)
SELECT
    id, '01890000-0000-7000-8000-000000000001', false, '{}', '{}', '{}', CASE WHEN number % 10 = 5 THEN 'kin' END,
    CASE WHEN number % 10 = 5 THEN 'x' END,
    CASE WHEN has_ended THEN NULL WHEN number % 10 = 0 THEN now() - interval '1 second' ELSE now() + interval '1 day' END
FROM seeded ORDER BY number;

INSERT INTO workflow_steps (
    workflow_run_id, path, region, scope, operator_type, status, attempt, facts, queue, started_at, completed_at, due_at,
    awaits, result
)
SELECT
    id, 'step' || step, '', '', 'task', CASE WHEN has_ended THEN 'completed' ELSE 'running' END, 1, '{}', 'default',
    now(), CASE WHEN has_ended THEN now() END,
    CASE WHEN has_ended OR step > 2 THEN NULL WHEN number % 10 = 1 THEN now() - interval '1 second'
        ELSE now() + interval '1 day' END,
    CASE WHEN has_ended OR step <> 9 THEN NULL ELSE 'event' || number % 10 END, '1'
FROM seeded CROSS JOIN generate_series(1, 10) AS step
WHERE number <= 3000
ORDER BY number, step;

INSERT INTO workflow_steps (
    workflow_run_id, path, region, scope, operator_type, status, attempt, facts, queue, started_at, completed_at, result
)
SELECT
    id, 'each[' || iteration || '].step' || step, 'each[' || iteration || ']', 'each[' || iteration || ']', 'task',
    CASE WHEN iteration % 100 = 0 AND step = 1 THEN 'runnable' ELSE 'completed' END, 1, '{}', 'default', now(),
    CASE WHEN iteration % 100 = 0 AND step = 1 THEN NULL ELSE now() END, '1'
FROM seeded CROSS JOIN generate_series(0, 1999) AS iteration CROSS JOIN generate_series(1, 10) AS step
WHERE number = 3001
ORDER BY iteration, step;

INSERT INTO workflow_frames (workflow_run_id, path, variables, names)
SELECT id, 'each[' || iteration || ']', '{}', '{}'
FROM seeded CROSS JOIN generate_series(0, 1999) AS iteration WHERE number = 3001;

INSERT INTO workflow_warnings (workflow_run_id, path, code, expression)
SELECT id, 'step' || warning, 'unresolved_template', 'x' FROM seeded CROSS JOIN generate_series(1, 3) AS warning;

INSERT INTO tasks (
    task_id, queue, task_name, params, headers, priority, workflow_run_id, step, max_attempts, status, run_id,
    ready_at, lease_expires_at, lease_token, claimed_by, started_at, completed_at
)
SELECT
    gen_random_uuid(), 'default', 'work', '{}', '{}', 0, id, 'step' || step, 1,
    CASE WHEN has_ended THEN 'completed' WHEN step = 1 THEN 'running' ELSE 'pending' END, gen_random_uuid(),
    CASE WHEN NOT has_ended AND step > 1 THEN now() END,
    CASE WHEN NOT has_ended AND step = 1 THEN now() + CASE WHEN number % 10 = 2 THEN interval '-1 second' ELSE '1 day' END END,
    gen_random_uuid(), 'w', now(), CASE WHEN has_ended THEN now() END
FROM seeded CROSS JOIN generate_series(1, 10) AS step
WHERE number <= 3000
ORDER BY number, step;

UPDATE workflow_steps SET task_id = tasks.task_id FROM tasks
WHERE tasks.workflow_run_id = workflow_steps.workflow_run_id AND tasks.step = workflow_steps.path;
