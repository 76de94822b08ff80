-- The statements of app/store that are built once; `make docs` writes them down. Parameters stand as %(name)s.

-- api_keys._INSERT
INSERT INTO api_keys (api_key_id, name, secret_hash, scopes)
VALUES (%(api_key_id)s::UUID, %(name)s::VARCHAR, %(secret_hash)s, %(scopes)s::TEXT[])
ON CONFLICT DO NOTHING
RETURNING api_keys.api_key_id, api_keys.name, api_keys.scopes, api_keys.created_at, api_keys.revoked_at;

-- api_keys._GET_BY_HASH
SELECT api_keys.api_key_id, api_keys.name, api_keys.scopes, api_keys.created_at, api_keys.revoked_at
FROM api_keys
WHERE api_keys.secret_hash = %(secret_hash)s;

-- api_keys._ANY
SELECT EXISTS (
    SELECT api_keys.api_key_id
    FROM api_keys
) AS anon_1;

-- api_keys._LIST
SELECT api_keys.api_key_id, api_keys.name, api_keys.scopes, api_keys.created_at, api_keys.revoked_at
FROM api_keys
ORDER BY api_keys.created_at, api_keys.api_key_id;

-- api_keys._PUT_FROM_ENVIRONMENT
INSERT INTO api_keys (api_key_id, name, secret_hash, scopes, is_from_environment)
VALUES (%(api_key_id)s::UUID, %(name)s::VARCHAR, %(sent_hash)s, %(scopes)s::TEXT[], %(is_from_environment)s)
ON CONFLICT (name) DO UPDATE SET secret_hash = %(sent_hash)s, created_at = now(), revoked_at = %(param_1)s::TIMESTAMP
    WITH TIME ZONE
WHERE api_keys.is_from_environment IS true
RETURNING api_keys.api_key_id;

-- api_keys._REVOKE_OTHERS_FROM_ENVIRONMENT
WITH others AS (
    SELECT api_keys.api_key_id AS api_key_id
    FROM api_keys
    WHERE api_keys.secret_hash != %(sent_hash)s AND api_keys.revoked_at IS NULL AND (api_keys.is_from_environment OR
        api_keys.name = (%(left_1)s::VARCHAR || left(encode(api_keys.secret_hash, %(encode_1)s::VARCHAR),
        %(left_2)s::INTEGER)))
    ORDER BY api_keys.api_key_id
    FOR UPDATE
)
UPDATE api_keys
SET revoked_at=now()
WHERE api_keys.api_key_id = ANY (array((
    SELECT others.api_key_id
    FROM others
)));

-- api_keys._REVOKE
UPDATE api_keys
SET revoked_at=coalesce(api_keys.revoked_at, now())
WHERE api_keys.name = %(of_name)s::VARCHAR
RETURNING api_keys.api_key_id, api_keys.name, api_keys.scopes, api_keys.created_at, api_keys.revoked_at;

-- bulk_operations._INSERT
INSERT INTO bulk_operations (bulk_operation_id, resource, verb, filter, reason, status, total, created_by, request_id,
    completed_at)
VALUES (%(new_bulk_operation_id)s::UUID, %(new_resource)s::VARCHAR, %(new_verb)s::VARCHAR, %(new_filter)s::JSON,
    %(new_reason)s::VARCHAR, CASE WHEN (%(new_total)s::BIGINT = %(param_1)s::BIGINT) THEN %(param_2)s::VARCHAR ELSE
    %(param_3)s::VARCHAR END, %(new_total)s::BIGINT, %(new_created_by)s::VARCHAR, %(new_request_id)s::VARCHAR, CASE WHEN
    (%(new_total)s::BIGINT = %(param_1)s::BIGINT) THEN now() END)
RETURNING bulk_operations.bulk_operation_id, bulk_operations.resource, bulk_operations.verb, bulk_operations.filter,
    bulk_operations.reason, bulk_operations.status, bulk_operations.total, bulk_operations.done,
    bulk_operations.refused, bulk_operations.created_by, bulk_operations.created_at, bulk_operations.completed_at;

-- bulk_operations._GET
SELECT bulk_operations.bulk_operation_id, bulk_operations.resource, bulk_operations.verb, bulk_operations.filter,
    bulk_operations.reason, bulk_operations.status, bulk_operations.total, bulk_operations.done,
    bulk_operations.refused, bulk_operations.created_by, bulk_operations.created_at, bulk_operations.completed_at
FROM bulk_operations
WHERE bulk_operations.bulk_operation_id = %(of_operation)s::UUID;

-- bulk_operations._LIST_OUTCOMES
SELECT bulk_outcomes.sequence, bulk_outcomes.resource_id, bulk_outcomes.status, bulk_outcomes.code
FROM bulk_outcomes
WHERE bulk_outcomes.bulk_operation_id = %(of_operation)s::UUID AND bulk_outcomes.is_open IS false AND
    bulk_outcomes.sequence > %(after)s::BIGINT
ORDER BY bulk_outcomes.sequence
LIMIT %(most)s;

-- bulk_operations._LOCK
SELECT bulk_operations.bulk_operation_id, bulk_operations.resource, bulk_operations.verb, bulk_operations.filter,
    bulk_operations.reason, bulk_operations.status, bulk_operations.total, bulk_operations.done,
    bulk_operations.refused, bulk_operations.created_by, bulk_operations.created_at, bulk_operations.completed_at
FROM bulk_operations
WHERE bulk_operations.bulk_operation_id = %(of_operation)s::UUID
FOR UPDATE;

-- bulk_operations._CANCEL
UPDATE bulk_operations
SET status=%(status)s::VARCHAR, completed_at=now()
WHERE bulk_operations.bulk_operation_id = %(of_operation)s::UUID AND bulk_operations.status = 'running'
RETURNING bulk_operations.bulk_operation_id, bulk_operations.resource, bulk_operations.verb, bulk_operations.filter,
    bulk_operations.reason, bulk_operations.status, bulk_operations.total, bulk_operations.done,
    bulk_operations.refused, bulk_operations.created_by, bulk_operations.created_at, bulk_operations.completed_at;

-- bulk_operations._FIND
SELECT item.sequence
FROM bulk_operations
JOIN LATERAL (
    SELECT bulk_outcomes.sequence AS sequence
    FROM bulk_outcomes
    WHERE bulk_outcomes.bulk_operation_id = bulk_operations.bulk_operation_id AND bulk_outcomes.is_open IS true AND
        (CAST(bulk_outcomes.sequence AS TEXT) NOT IN (
        SELECT set_aside_rows.row_key
        FROM set_aside_rows
        WHERE set_aside_rows.chore = 'work_bulk_operations'
    ))
    ORDER BY bulk_outcomes.sequence
    LIMIT %(most)s::INTEGER
) AS item ON true
WHERE bulk_operations.status = 'running'
ORDER BY bulk_operations.worked_at, item.sequence
LIMIT %(most)s::INTEGER
FOR UPDATE OF bulk_operations SKIP LOCKED;

-- bulk_operations._LOCK_ITEM
SELECT bulk_operations.bulk_operation_id, bulk_outcomes.resource_id, bulk_operations.resource, bulk_operations.verb,
    bulk_operations.reason, bulk_operations.created_by, bulk_operations.request_id
FROM bulk_operations
JOIN bulk_outcomes ON bulk_outcomes.bulk_operation_id = bulk_operations.bulk_operation_id
WHERE bulk_outcomes.sequence = %(of_sequence)s::BIGINT AND bulk_outcomes.is_open IS true AND bulk_operations.status =
    'running'
FOR UPDATE OF bulk_operations, bulk_outcomes SKIP LOCKED;

-- bulk_operations._SET_OUTCOME
WITH noted AS (
    UPDATE bulk_outcomes
    SET is_open=%(param_2)s, status=%(outcome_status)s::SMALLINT, code=%(outcome_code)s::VARCHAR
    WHERE bulk_outcomes.sequence = %(of_sequence)s::BIGINT
    RETURNING bulk_outcomes.bulk_operation_id
)
UPDATE bulk_operations
SET status=CASE WHEN (bulk_operations.done + %(done_1)s::BIGINT = bulk_operations.total) THEN %(param_1)s::VARCHAR ELSE
    bulk_operations.status END, done=(bulk_operations.done + %(done_2)s::BIGINT), refused=(bulk_operations.refused +
    CAST(%(is_refused)s AS INTEGER)), worked_at=clock_timestamp(), completed_at=CASE WHEN (bulk_operations.done +
    %(done_1)s::BIGINT = bulk_operations.total) THEN clock_timestamp() END
FROM noted
WHERE bulk_operations.bulk_operation_id = noted.bulk_operation_id;

-- bulk_operations._PRUNE_OUTCOMES
WITH "old" AS (
    SELECT bulk_operations.bulk_operation_id AS bulk_operation_id
    FROM bulk_operations
    WHERE bulk_operations.completed_at < now() - %(keep_seconds)s * CAST(%(param_1)s::INTERVAL AS INTERVAL)
    ORDER BY bulk_operations.completed_at
    LIMIT %(param_2)s::INTEGER
    FOR UPDATE SKIP LOCKED
)
DELETE
FROM bulk_outcomes
WHERE bulk_outcomes.sequence = ANY (array((
    SELECT bulk_outcomes.sequence
    FROM bulk_outcomes
    JOIN "old" ON "old".bulk_operation_id = bulk_outcomes.bulk_operation_id
    LIMIT %(most)s::INTEGER
)));

-- bulk_operations._PRUNE
WITH "old" AS (
    SELECT bulk_operations.bulk_operation_id AS bulk_operation_id
    FROM bulk_operations
    WHERE bulk_operations.completed_at < now() - %(keep_seconds)s * CAST(%(param_1)s::INTERVAL AS INTERVAL)
    ORDER BY bulk_operations.completed_at
    LIMIT %(param_2)s::INTEGER
    FOR UPDATE SKIP LOCKED
)
DELETE
FROM bulk_operations
WHERE bulk_operations.bulk_operation_id = ANY (array((
    SELECT "old".bulk_operation_id
    FROM "old"
    WHERE NOT (EXISTS (
        SELECT 1
        FROM bulk_outcomes
        WHERE bulk_outcomes.bulk_operation_id = "old".bulk_operation_id
    ))
)));

-- bulk_tokens._INSERT
INSERT INTO bulk_tokens (token_hash, purpose, count, expires_at)
VALUES (%(of_token)s, %(of_purpose)s, %(matching)s::BIGINT, (now() + %(good_seconds)s * CAST(%(param_1)s::INTERVAL AS
    INTERVAL)));

-- bulk_tokens._GET_COUNT
SELECT bulk_tokens.count
FROM bulk_tokens
WHERE bulk_tokens.token_hash = %(of_token)s AND bulk_tokens.purpose = %(of_purpose)s AND bulk_tokens.expires_at > now();

-- bulk_tokens._PRUNE
WITH expired AS (
    SELECT bulk_tokens.token_hash AS token_hash
    FROM bulk_tokens
    WHERE bulk_tokens.expires_at <= now()
    ORDER BY bulk_tokens.expires_at
    LIMIT %(most)s::INTEGER
    FOR UPDATE SKIP LOCKED
)
DELETE
FROM bulk_tokens
WHERE bulk_tokens.token_hash = ANY (array((
    SELECT expired.token_hash
    FROM expired
)));

-- changes._NUMBER
SELECT number_changes(%(most)s::INTEGER) AS number_changes_1;

-- changes._REACH
SELECT change_feed.newest, change_feed.oldest
FROM change_feed;

-- changes._LIST
SELECT changes.last_position, changes.change_count, changes.kind, changes.at, changes.changes
FROM changes
WHERE changes.last_position > %(after)s::BIGINT
ORDER BY changes.last_position
LIMIT %(most)s::INTEGER;

-- changes._LOCK
SELECT change_feed.newest
FROM change_feed
ORDER BY change_feed.is_only
FOR UPDATE;

-- changes._FORGET
WITH first AS (
    SELECT changes.last_position AS last_position, changes.at AS at
    FROM changes
    ORDER BY changes.last_position
    LIMIT %(most)s::INTEGER
)
DELETE
FROM changes
WHERE changes.last_position <= (
    SELECT max(first.last_position) AS max_1
    FROM first
    WHERE first.last_position < coalesce((
        SELECT min(first.last_position) AS min_1
        FROM first
        WHERE first.at >= statement_timestamp() - %(keep)s * CAST(%(param_1)s::INTERVAL AS INTERVAL)
    ), %(coalesce_1)s::BIGINT)
)
RETURNING changes.last_position;

-- changes._MOVE_OLDEST
UPDATE change_feed
SET oldest=%(first_kept)s::BIGINT;

-- checkpoints._PUT
WITH item AS (
    SELECT row.task_id AS task_id, row.name AS name, row.state AS state, row.is_outcome AS is_outcome, row.attempt AS
        attempt, row.run_id AS run_id
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, name TEXT, state JSON, is_outcome
        BOOLEAN, attempt INTEGER, run_id UUID)
)
INSERT INTO checkpoints (task_id, name, state, is_outcome, attempt, run_id)
SELECT item.task_id, item.name, item.state, item.is_outcome, item.attempt, item.run_id
FROM item
JOIN LATERAL (
    SELECT count(*) AS names, coalesce(sum(coalesce(CASE WHEN (pg_column_compression(checkpoints.state) IS NULL) THEN
        pg_column_size(checkpoints.state) ELSE octet_length(CAST(checkpoints.state AS TEXT)) END,
        %(coalesce_1)s::INTEGER)), %(coalesce_2)s::INTEGER) AS bytes
    FROM checkpoints
    WHERE checkpoints.task_id = item.task_id AND checkpoints.name != item.name
) AS others ON true
WHERE others.names < %(names_1)s::INTEGER AND others.bytes + coalesce(CASE WHEN (pg_column_compression(item.state) IS
    NULL) THEN pg_column_size(item.state) ELSE octet_length(CAST(item.state AS TEXT)) END, %(coalesce_3)s::INTEGER) <=
    %(param_1)s::INTEGER
ORDER BY item.task_id, item.name
ON CONFLICT (task_id, name) DO UPDATE SET state = excluded.state, attempt = excluded.attempt, run_id = excluded.run_id,
    updated_at = now()
WHERE NOT checkpoints.is_outcome
RETURNING checkpoints.task_id, checkpoints.name, checkpoints.position, checkpoints.state, checkpoints.is_outcome,
    checkpoints.attempt, checkpoints.run_id, checkpoints.updated_at;

-- checkpoints._PUT_OF_HELD
WITH item AS (
    SELECT row.task_id AS task_id, row.name AS name, row.state AS state, row.lease_token AS lease_token
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, name TEXT, state JSON, lease_token
        UUID)
), held AS (
    SELECT tasks.task_id AS task_id, tasks.lease_expires_at AS lease_expires_at, tasks.attempt AS attempt, tasks.run_id
        AS run_id
    FROM tasks, item
    WHERE tasks.task_id = item.task_id AND tasks.lease_token = item.lease_token AND tasks.status = 'running'
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE OF tasks
)
INSERT INTO checkpoints (task_id, name, state, is_outcome, attempt, run_id)
SELECT item.task_id, item.name, item.state, false AS anon_1, held.attempt, held.run_id
FROM item
JOIN held ON held.task_id = item.task_id
JOIN LATERAL (
    SELECT count(*) AS names, coalesce(sum(coalesce(CASE WHEN (pg_column_compression(checkpoints.state) IS NULL) THEN
        pg_column_size(checkpoints.state) ELSE octet_length(CAST(checkpoints.state AS TEXT)) END,
        %(coalesce_1)s::INTEGER)), %(coalesce_2)s::INTEGER) AS bytes
    FROM checkpoints
    WHERE checkpoints.task_id = item.task_id AND checkpoints.name != item.name
) AS others ON true
WHERE held.lease_expires_at > clock_timestamp() AND others.names < %(names_1)s::INTEGER AND others.bytes + coalesce(CASE
    WHEN (pg_column_compression(item.state) IS NULL) THEN pg_column_size(item.state) ELSE octet_length(CAST(item.state
    AS TEXT)) END, %(coalesce_3)s::INTEGER) <= %(param_1)s::INTEGER
ORDER BY item.task_id
ON CONFLICT (task_id, name) DO UPDATE SET state = excluded.state, attempt = excluded.attempt, run_id = excluded.run_id,
    updated_at = now()
WHERE NOT checkpoints.is_outcome
RETURNING checkpoints.task_id, checkpoints.name, checkpoints.position, checkpoints.state, checkpoints.is_outcome,
    checkpoints.attempt, checkpoints.run_id, checkpoints.updated_at;

-- checkpoints._GET
SELECT checkpoints.task_id, checkpoints.name, checkpoints.position, checkpoints.state, checkpoints.is_outcome,
    checkpoints.attempt, checkpoints.run_id, checkpoints.updated_at
FROM checkpoints
WHERE checkpoints.task_id = %(of_task)s::UUID AND checkpoints.name = %(of_name)s::VARCHAR;

-- checkpoints._HAS_ROOM
SELECT others.names < %(names_1)s::INTEGER AND others.bytes + %(size)s::INTEGER <= %(param_1)s::INTEGER AS anon_1
FROM LATERAL (
    SELECT count(*) AS names, coalesce(sum(coalesce(CASE WHEN (pg_column_compression(checkpoints.state) IS NULL) THEN
        pg_column_size(checkpoints.state) ELSE octet_length(CAST(checkpoints.state AS TEXT)) END,
        %(coalesce_1)s::INTEGER)), %(coalesce_2)s::INTEGER) AS bytes
    FROM checkpoints
    WHERE checkpoints.task_id = %(of_task)s::UUID AND checkpoints.name != %(of_name)s::VARCHAR
) AS others;

-- checkpoints._LIST
SELECT checkpoints.task_id, checkpoints.name, checkpoints.position, checkpoints.state, checkpoints.is_outcome,
    checkpoints.attempt, checkpoints.run_id, checkpoints.updated_at
FROM checkpoints
WHERE checkpoints.task_id = %(of_task)s::UUID AND checkpoints.position > %(after)s::BIGINT
ORDER BY checkpoints.position
LIMIT %(most)s;

-- checkpoints._LIST_STATES
SELECT checkpoints.task_id, checkpoints.name, checkpoints.state
FROM checkpoints
WHERE checkpoints.task_id = ANY (%(tasks)s::UUID[])
ORDER BY checkpoints.position;

-- claim_repeats._GET_CLAIMED
WITH item AS (
    SELECT row.task_id AS task_id, row.lease_token AS lease_token, row.claimer AS claimer, row.place AS place
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, lease_token UUID, claimer INTEGER,
        place INTEGER)
)
SELECT tasks.task_id, tasks.run_id, tasks.attempt, tasks.lease_token, tasks.lease_expires_at, tasks.task_name,
    tasks.params, tasks.headers, tasks.retry_strategy, tasks.max_attempts, tasks.workflow_run_id, tasks.step,
    tasks.traceparent, tasks.wake_event, tasks.event_payload, clock_timestamp() AS server_time, true AS was_started,
    item.claimer, item.place
FROM tasks, item
WHERE tasks.task_id = item.task_id AND tasks.lease_token = item.lease_token AND tasks.status = 'running' AND
    tasks.lease_expires_at > clock_timestamp()
ORDER BY item.claimer, item.place;

-- claim_repeats._SIZES_OF_CLAIMED
WITH item AS (
    SELECT row.task_id AS task_id, row.lease_token AS lease_token, row.claimer AS claimer, row.place AS place
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, lease_token UUID, claimer INTEGER,
        place INTEGER)
)
SELECT item.claimer, sum(coalesce(CASE WHEN (pg_column_compression(tasks.params) IS NULL) THEN
    pg_column_size(tasks.params) ELSE octet_length(CAST(tasks.params AS TEXT)) END, %(coalesce_1)s::INTEGER) +
    coalesce(CASE WHEN (pg_column_compression(tasks.headers) IS NULL) THEN pg_column_size(tasks.headers) ELSE
    octet_length(CAST(tasks.headers AS TEXT)) END, %(coalesce_2)s::INTEGER) + coalesce(CASE WHEN
    (pg_column_compression(tasks.event_payload) IS NULL) THEN pg_column_size(tasks.event_payload) ELSE
    octet_length(CAST(tasks.event_payload AS TEXT)) END, %(coalesce_3)s::INTEGER) + CASE WHEN (tasks.first_started_at IS
    NOT NULL OR tasks.attempt > %(attempt_1)s::INTEGER) THEN (
    SELECT coalesce(sum(coalesce(CASE WHEN (pg_column_compression(checkpoints.state) IS NULL) THEN
        pg_column_size(checkpoints.state) ELSE octet_length(CAST(checkpoints.state AS TEXT)) END,
        %(coalesce_5)s::INTEGER)), %(coalesce_6)s::INTEGER) AS coalesce_4
    FROM checkpoints
    WHERE checkpoints.task_id = tasks.task_id
) ELSE %(param_1)s::INTEGER END) AS size
FROM tasks, item
WHERE tasks.task_id = item.task_id AND tasks.lease_token = item.lease_token
GROUP BY item.claimer;

-- claims._LOCK_QUEUE
SELECT queues.max_concurrency
FROM queues
WHERE queues.queue = %(of_queue)s::VARCHAR
FOR NO KEY UPDATE;

-- claims._COUNT_RUNNING
SELECT count(*) AS count_1
FROM tasks
WHERE tasks.queue = %(of_queue)s::VARCHAR AND tasks.status = 'running';

-- claims._COMPLETE
WITH item AS (
    SELECT row.task_id AS task_id, row.lease_token AS lease_token, row.result AS result, row.final_body AS final_body,
        row.is_held AS is_held
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, lease_token UUID, result JSON,
        final_body BYTEA, is_held BOOLEAN)
), locked AS (
    SELECT tasks.task_id AS task_id, tasks.lease_token AS lease_token
    FROM tasks, item
    WHERE tasks.task_id = item.task_id AND tasks.lease_token = item.lease_token AND tasks.status = 'running'
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE OF tasks
), held AS (
    SELECT locked.task_id AS task_id, locked.lease_token AS lease_token, clock_timestamp() AS at
    FROM locked
)
UPDATE tasks
SET status=CAST(%(param_1)s::VARCHAR AS TEXT), reason=%(reason)s::VARCHAR, result=item.result, error=%(error)s::JSON,
    limit_at=%(limit_at)s::TIMESTAMP WITH TIME ZONE, lease_expires_at=%(lease_expires_at)s::TIMESTAMP WITH TIME ZONE,
    final_body=item.final_body, completed_at=greatest(held.at, tasks.started_at), updated_at=greatest(held.at,
    tasks.updated_at), revision=(tasks.revision + %(revision_1)s::BIGINT)
FROM held, item
WHERE tasks.task_id = held.task_id AND tasks.lease_token = held.lease_token AND held.task_id = item.task_id AND
    held.lease_token = item.lease_token AND tasks.status = 'running' AND (item.is_held OR tasks.lease_expires_at >
    held.at)
RETURNING tasks.task_id, tasks.queue, tasks.lease_token;

-- claims._COMPLETE_SHOWN
WITH item AS (
    SELECT row.task_id AS task_id, row.lease_token AS lease_token, row.result AS result, row.final_body AS final_body,
        row.is_held AS is_held
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, lease_token UUID, result JSON,
        final_body BYTEA, is_held BOOLEAN)
), locked AS (
    SELECT tasks.task_id AS task_id, tasks.lease_token AS lease_token
    FROM tasks, item
    WHERE tasks.task_id = item.task_id AND tasks.lease_token = item.lease_token AND tasks.status = 'running'
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE OF tasks
), held AS (
    SELECT locked.task_id AS task_id, locked.lease_token AS lease_token, clock_timestamp() AS at
    FROM locked
)
UPDATE tasks
SET status=CAST(%(param_1)s::VARCHAR AS TEXT), reason=%(reason)s::VARCHAR, result=item.result, error=%(error)s::JSON,
    limit_at=%(limit_at)s::TIMESTAMP WITH TIME ZONE, lease_expires_at=%(lease_expires_at)s::TIMESTAMP WITH TIME ZONE,
    final_body=item.final_body, completed_at=greatest(held.at, tasks.started_at), updated_at=greatest(held.at,
    tasks.updated_at), revision=(tasks.revision + %(revision_1)s::BIGINT)
FROM held, item
WHERE tasks.task_id = held.task_id AND tasks.lease_token = held.lease_token AND held.task_id = item.task_id AND
    held.lease_token = item.lease_token AND tasks.status = 'running' AND (item.is_held OR tasks.lease_expires_at >
    held.at)
RETURNING tasks.task_id, tasks.queue, tasks.task_name, tasks.params, tasks.headers, tasks.priority,
    tasks.workflow_run_id, tasks.parent_task_id, tasks.step, tasks.traceparent, tasks.max_attempts, tasks.max_lost,
    tasks.lost_count, tasks.forgiven_count, tasks.retry_strategy, tasks.max_delay_seconds, tasks.max_duration_seconds,
    tasks.idempotency_key, tasks.concurrency_key, tasks.status, tasks.reason, tasks.run_id, tasks.attempt, tasks.result,
    tasks.error, tasks.progress, tasks.reported_progress, tasks.available_at, tasks.ready_at, tasks.due_at,
    tasks.limit_at, tasks.wake_at, tasks.wake_event, tasks.event_payload, tasks.wait_step, tasks.wait_all,
    tasks.claimed_by, tasks.lease_token, tasks.lease_expires_at, tasks.final_body, tasks.created_at,
    tasks.first_started_at, tasks.started_at, tasks.completed_at, tasks.cancelled_at, tasks.cancel_requested_at,
    tasks.updated_at, tasks.revision, clock_timestamp() AS now;

-- deliveries._INSERT_DELIVERIES
WITH item AS (
    SELECT row.queue AS queue, row.event_name AS event_name, row.workflow_run_id AS workflow_run_id
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(queue TEXT, event_name TEXT, workflow_run_id UUID)
)
INSERT INTO event_deliveries (queue, event_name, workflow_run_id)
SELECT item.queue, item.event_name, item.workflow_run_id
FROM item;

-- deliveries._LOCK_DELIVERIES
SELECT event_deliveries.delivery_id, event_deliveries.queue, event_deliveries.event_name,
    event_deliveries.workflow_run_id
FROM event_deliveries
ORDER BY event_deliveries.delivery_id
LIMIT %(most)s::INTEGER
FOR UPDATE SKIP LOCKED;

-- deliveries._LOCK_SOME_DELIVERIES
SELECT event_deliveries.delivery_id, event_deliveries.queue, event_deliveries.event_name,
    event_deliveries.workflow_run_id
FROM event_deliveries
WHERE event_deliveries.delivery_id = ANY (%(keys)s::BIGINT[])
ORDER BY event_deliveries.delivery_id
FOR UPDATE;

-- deliveries._DELETE_DELIVERIES
DELETE
FROM event_deliveries
WHERE event_deliveries.delivery_id = ANY (%(keys)s::BIGINT[]);

-- deliveries._IS_ON_ITS_WAY
SELECT EXISTS (
    SELECT 1
    FROM event_deliveries
    WHERE event_deliveries.queue = %(of_queue)s::VARCHAR AND event_deliveries.event_name = %(name)s::VARCHAR AND
        event_deliveries.workflow_run_id IS NOT DISTINCT FROM %(of_run)s::UUID
) AS anon_1;

-- dropped_children._MARK
UPDATE workflow_executions
SET children_dropped_at=coalesce(workflow_executions.children_dropped_at, now())
WHERE workflow_executions.workflow_run_id = ANY (%(ids)s::UUID[]);

-- dropped_children._FIND
SELECT workflow_executions.workflow_run_id
FROM workflow_executions
WHERE workflow_executions.children_dropped_at IS NOT NULL AND (workflow_executions.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'cancel_dropped_children'
))
ORDER BY workflow_executions.children_dropped_at
LIMIT %(most)s::INTEGER;

-- dropped_children._LIST
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
JOIN workflow_executions AS workflow_executions_1 ON workflow_executions_1.workflow_run_id =
    workflow_runs.workflow_run_id
JOIN workflow_steps ON workflow_steps.workflow_run_id = workflow_runs.parent_workflow_run_id AND workflow_steps.path =
    workflow_executions_1.parent_step
WHERE workflow_runs.completed_at IS NULL AND workflow_steps.completed_at IS NOT NULL AND
    workflow_runs.parent_workflow_run_id = ANY (%(ids)s::UUID[])
ORDER BY workflow_runs.workflow_run_id
LIMIT %(most)s::INTEGER;

-- dropped_children._CLEAR
UPDATE workflow_executions
SET children_dropped_at=%(children_dropped_at)s::TIMESTAMP WITH TIME ZONE
WHERE workflow_executions.workflow_run_id = ANY (%(ids)s::UUID[]) AND NOT (EXISTS (
    SELECT workflow_runs.workflow_run_id
    FROM workflow_runs
    JOIN workflow_executions AS workflow_executions_1 ON workflow_executions_1.workflow_run_id =
        workflow_runs.workflow_run_id
    JOIN workflow_steps ON workflow_steps.workflow_run_id = workflow_runs.parent_workflow_run_id AND workflow_steps.path
        = workflow_executions_1.parent_step
    WHERE workflow_runs.completed_at IS NULL AND workflow_steps.completed_at IS NOT NULL AND
        workflow_runs.parent_workflow_run_id = workflow_executions.workflow_run_id
));

-- due_executions._FIND_DUE
SELECT workflow_steps.workflow_run_id
FROM workflow_steps
JOIN workflow_runs ON workflow_runs.workflow_run_id = workflow_steps.workflow_run_id
WHERE workflow_steps.due_at <= now() AND workflow_runs.completed_at IS NULL AND (workflow_steps.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'advance_due_steps'
))
ORDER BY workflow_steps.due_at
LIMIT %(most)s::INTEGER;

-- due_executions._LIST_DUE
SELECT workflow_steps.workflow_run_id, workflow_steps.path, workflow_steps.scope
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_steps.due_at <= now()
ORDER BY workflow_steps.due_at
LIMIT %(most)s::INTEGER;

-- due_executions._LIST_PAST_DEADLINE
SELECT workflow_executions.workflow_run_id
FROM workflow_executions
WHERE workflow_executions.deadline_at <= now() AND (workflow_executions.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'end_runs_past_deadline'
))
ORDER BY workflow_executions.deadline_at
LIMIT %(most)s::INTEGER;

-- due_executions._LIST_EXPIRED_WORK
SELECT tasks.task_id
FROM tasks
WHERE tasks.lease_expires_at <= statement_timestamp() AND tasks.step IS NOT NULL AND (tasks.task_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'expire_step_leases'
))
ORDER BY tasks.lease_expires_at
LIMIT %(most)s::INTEGER;

-- due_executions._LIST_CANCELLED
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.cancel_due_at IS NOT NULL AND workflow_runs.workflow_id IS NOT NULL AND (workflow_runs.cancel_due_at
    <= now() OR NOT (EXISTS (
    SELECT 1
    FROM tasks
    WHERE tasks.workflow_run_id = workflow_runs.workflow_run_id AND tasks.status = 'running'
))) AND (workflow_runs.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'finish_cancelled_runs'
))
ORDER BY workflow_runs.cancel_due_at
LIMIT %(most)s::INTEGER;

-- due_executions._CANCELLED_OF
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_runs.cancel_due_at IS NOT NULL AND
    workflow_runs.workflow_id IS NOT NULL AND (workflow_runs.cancel_due_at <= now() OR NOT (EXISTS (
    SELECT 1
    FROM tasks
    WHERE tasks.workflow_run_id = workflow_runs.workflow_run_id AND tasks.status = 'running'
)));

-- due_tasks._FIND_EXPIRED
SELECT tasks.task_id
FROM tasks
WHERE tasks.lease_expires_at <= statement_timestamp() AND tasks.step IS NULL AND (tasks.task_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'expire_leases'
))
ORDER BY tasks.lease_expires_at
LIMIT %(most)s::INTEGER
FOR NO KEY UPDATE SKIP LOCKED;

-- due_tasks._FIND_DUE
SELECT tasks.task_id
FROM tasks
WHERE tasks.due_at <= statement_timestamp() AND (tasks.task_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'wake_due_tasks'
))
ORDER BY tasks.due_at
LIMIT %(most)s::INTEGER
FOR NO KEY UPDATE SKIP LOCKED;

-- due_tasks._FIND_LIMITED
SELECT tasks.task_id
FROM tasks
WHERE tasks.limit_at <= statement_timestamp() AND (tasks.task_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'cancel_limited_tasks'
))
ORDER BY tasks.limit_at
LIMIT %(most)s::INTEGER
FOR NO KEY UPDATE SKIP LOCKED;

-- due_tasks._LOCK_EXPIRED
WITH locked AS (
    SELECT tasks.task_id AS task_id, tasks.queue AS queue, tasks.task_name AS task_name, tasks.params AS params,
        tasks.headers AS headers, tasks.priority AS priority, tasks.workflow_run_id AS workflow_run_id,
        tasks.parent_task_id AS parent_task_id, tasks.step AS step, tasks.traceparent AS traceparent, tasks.max_attempts
        AS max_attempts, tasks.max_lost AS max_lost, tasks.lost_count AS lost_count, tasks.forgiven_count AS
        forgiven_count, tasks.retry_strategy AS retry_strategy, tasks.max_delay_seconds AS max_delay_seconds,
        tasks.max_duration_seconds AS max_duration_seconds, tasks.idempotency_key AS idempotency_key,
        tasks.concurrency_key AS concurrency_key, tasks.status AS status, tasks.reason AS reason, tasks.run_id AS
        run_id, tasks.attempt AS attempt, tasks.result AS result, tasks.error AS error, tasks.progress AS progress,
        tasks.reported_progress AS reported_progress, tasks.available_at AS available_at, tasks.ready_at AS ready_at,
        tasks.due_at AS due_at, tasks.limit_at AS limit_at, tasks.wake_at AS wake_at, tasks.wake_event AS wake_event,
        tasks.event_payload AS event_payload, tasks.wait_step AS wait_step, tasks.wait_all AS wait_all, tasks.claimed_by
        AS claimed_by, tasks.lease_token AS lease_token, tasks.lease_expires_at AS lease_expires_at, tasks.final_body AS
        final_body, tasks.created_at AS created_at, tasks.first_started_at AS first_started_at, tasks.started_at AS
        started_at, tasks.completed_at AS completed_at, tasks.cancelled_at AS cancelled_at, tasks.cancel_requested_at AS
        cancel_requested_at, tasks.updated_at AS updated_at, tasks.revision AS revision
    FROM tasks
    WHERE tasks.task_id = ANY (%(ids)s::UUID[]) AND tasks.lease_expires_at <= statement_timestamp() AND tasks.step IS
        NULL
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
)
SELECT locked.task_id, locked.queue, locked.task_name, locked.params, locked.headers, locked.priority,
    locked.workflow_run_id, locked.parent_task_id, locked.step, locked.traceparent, locked.max_attempts,
    locked.max_lost, locked.lost_count, locked.forgiven_count, locked.retry_strategy, locked.max_delay_seconds,
    locked.max_duration_seconds, locked.idempotency_key, locked.concurrency_key, locked.status, locked.reason,
    locked.run_id, locked.attempt, locked.result, locked.error, locked.progress, locked.reported_progress,
    locked.available_at, locked.ready_at, locked.due_at, locked.limit_at, locked.wake_at, locked.wake_event,
    locked.event_payload, locked.wait_step, locked.wait_all, locked.claimed_by, locked.lease_token,
    locked.lease_expires_at, locked.final_body, locked.created_at, locked.first_started_at, locked.started_at,
    locked.completed_at, locked.cancelled_at, locked.cancel_requested_at, locked.updated_at, locked.revision,
    clock_timestamp() AS now
FROM locked;

-- due_tasks._LOCK_DUE
WITH locked AS (
    SELECT tasks.task_id AS task_id, tasks.queue AS queue, tasks.task_name AS task_name, tasks.params AS params,
        tasks.headers AS headers, tasks.priority AS priority, tasks.workflow_run_id AS workflow_run_id,
        tasks.parent_task_id AS parent_task_id, tasks.step AS step, tasks.traceparent AS traceparent, tasks.max_attempts
        AS max_attempts, tasks.max_lost AS max_lost, tasks.lost_count AS lost_count, tasks.forgiven_count AS
        forgiven_count, tasks.retry_strategy AS retry_strategy, tasks.max_delay_seconds AS max_delay_seconds,
        tasks.max_duration_seconds AS max_duration_seconds, tasks.idempotency_key AS idempotency_key,
        tasks.concurrency_key AS concurrency_key, tasks.status AS status, tasks.reason AS reason, tasks.run_id AS
        run_id, tasks.attempt AS attempt, tasks.result AS result, tasks.error AS error, tasks.progress AS progress,
        tasks.reported_progress AS reported_progress, tasks.available_at AS available_at, tasks.ready_at AS ready_at,
        tasks.due_at AS due_at, tasks.limit_at AS limit_at, tasks.wake_at AS wake_at, tasks.wake_event AS wake_event,
        tasks.event_payload AS event_payload, tasks.wait_step AS wait_step, tasks.wait_all AS wait_all, tasks.claimed_by
        AS claimed_by, tasks.lease_token AS lease_token, tasks.lease_expires_at AS lease_expires_at, tasks.final_body AS
        final_body, tasks.created_at AS created_at, tasks.first_started_at AS first_started_at, tasks.started_at AS
        started_at, tasks.completed_at AS completed_at, tasks.cancelled_at AS cancelled_at, tasks.cancel_requested_at AS
        cancel_requested_at, tasks.updated_at AS updated_at, tasks.revision AS revision
    FROM tasks
    WHERE tasks.task_id = ANY (%(ids)s::UUID[]) AND tasks.due_at <= statement_timestamp()
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
)
SELECT locked.task_id, locked.queue, locked.task_name, locked.params, locked.headers, locked.priority,
    locked.workflow_run_id, locked.parent_task_id, locked.step, locked.traceparent, locked.max_attempts,
    locked.max_lost, locked.lost_count, locked.forgiven_count, locked.retry_strategy, locked.max_delay_seconds,
    locked.max_duration_seconds, locked.idempotency_key, locked.concurrency_key, locked.status, locked.reason,
    locked.run_id, locked.attempt, locked.result, locked.error, locked.progress, locked.reported_progress,
    locked.available_at, locked.ready_at, locked.due_at, locked.limit_at, locked.wake_at, locked.wake_event,
    locked.event_payload, locked.wait_step, locked.wait_all, locked.claimed_by, locked.lease_token,
    locked.lease_expires_at, locked.final_body, locked.created_at, locked.first_started_at, locked.started_at,
    locked.completed_at, locked.cancelled_at, locked.cancel_requested_at, locked.updated_at, locked.revision,
    clock_timestamp() AS now
FROM locked;

-- due_tasks._LOCK_LIMITED
WITH locked AS (
    SELECT tasks.task_id AS task_id, tasks.queue AS queue, tasks.task_name AS task_name, tasks.params AS params,
        tasks.headers AS headers, tasks.priority AS priority, tasks.workflow_run_id AS workflow_run_id,
        tasks.parent_task_id AS parent_task_id, tasks.step AS step, tasks.traceparent AS traceparent, tasks.max_attempts
        AS max_attempts, tasks.max_lost AS max_lost, tasks.lost_count AS lost_count, tasks.forgiven_count AS
        forgiven_count, tasks.retry_strategy AS retry_strategy, tasks.max_delay_seconds AS max_delay_seconds,
        tasks.max_duration_seconds AS max_duration_seconds, tasks.idempotency_key AS idempotency_key,
        tasks.concurrency_key AS concurrency_key, tasks.status AS status, tasks.reason AS reason, tasks.run_id AS
        run_id, tasks.attempt AS attempt, tasks.result AS result, tasks.error AS error, tasks.progress AS progress,
        tasks.reported_progress AS reported_progress, tasks.available_at AS available_at, tasks.ready_at AS ready_at,
        tasks.due_at AS due_at, tasks.limit_at AS limit_at, tasks.wake_at AS wake_at, tasks.wake_event AS wake_event,
        tasks.event_payload AS event_payload, tasks.wait_step AS wait_step, tasks.wait_all AS wait_all, tasks.claimed_by
        AS claimed_by, tasks.lease_token AS lease_token, tasks.lease_expires_at AS lease_expires_at, tasks.final_body AS
        final_body, tasks.created_at AS created_at, tasks.first_started_at AS first_started_at, tasks.started_at AS
        started_at, tasks.completed_at AS completed_at, tasks.cancelled_at AS cancelled_at, tasks.cancel_requested_at AS
        cancel_requested_at, tasks.updated_at AS updated_at, tasks.revision AS revision
    FROM tasks
    WHERE tasks.task_id = ANY (%(ids)s::UUID[]) AND tasks.limit_at <= statement_timestamp()
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
)
SELECT locked.task_id, locked.queue, locked.task_name, locked.params, locked.headers, locked.priority,
    locked.workflow_run_id, locked.parent_task_id, locked.step, locked.traceparent, locked.max_attempts,
    locked.max_lost, locked.lost_count, locked.forgiven_count, locked.retry_strategy, locked.max_delay_seconds,
    locked.max_duration_seconds, locked.idempotency_key, locked.concurrency_key, locked.status, locked.reason,
    locked.run_id, locked.attempt, locked.result, locked.error, locked.progress, locked.reported_progress,
    locked.available_at, locked.ready_at, locked.due_at, locked.limit_at, locked.wake_at, locked.wake_event,
    locked.event_payload, locked.wait_step, locked.wait_all, locked.claimed_by, locked.lease_token,
    locked.lease_expires_at, locked.final_body, locked.created_at, locked.first_started_at, locked.started_at,
    locked.completed_at, locked.cancelled_at, locked.cancel_requested_at, locked.updated_at, locked.revision,
    clock_timestamp() AS now
FROM locked;

-- due_tasks._OWNER
SELECT tasks.workflow_run_id, tasks.step
FROM tasks
WHERE tasks.task_id = %(of_task)s::UUID;

-- due_tasks._KEEP_ATTEMPT
INSERT INTO task_attempts (run_id, task_id, attempt, status, claimed_by, lease_token, started_at, ended_at, error)
SELECT tasks.run_id, tasks.task_id, tasks.attempt, CAST(%(param_1)s::VARCHAR AS TEXT) AS anon_1, tasks.claimed_by,
    tasks.lease_token, tasks.started_at, greatest(now(), tasks.started_at, tasks.updated_at) AS greatest_1,
    %(error)s::JSON AS anon_2
FROM tasks
WHERE tasks.task_id = ANY (%(ids)s::UUID[]) AND tasks.status IN ('pending', 'running', 'sleeping')
ON CONFLICT (run_id) DO NOTHING;

-- due_tasks._FAIL
WITH to_end AS (
    SELECT tasks.task_id AS task_id
    FROM tasks
    WHERE tasks.task_id = ANY (%(ids)s::UUID[]) AND tasks.status IN ('pending', 'running', 'sleeping')
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
)
UPDATE tasks
SET status=CAST(%(param_1)s::VARCHAR AS TEXT), reason=CAST(NULL AS TEXT), error=%(error)s::JSON,
    ready_at=%(ready_at)s::TIMESTAMP WITH TIME ZONE, due_at=%(due_at)s::TIMESTAMP WITH TIME ZONE,
    limit_at=%(limit_at)s::TIMESTAMP WITH TIME ZONE, wake_at=%(wake_at)s::TIMESTAMP WITH TIME ZONE,
    wait_step=%(wait_step)s::VARCHAR, wait_all=%(wait_all)s::TEXT[], lease_expires_at=%(lease_expires_at)s::TIMESTAMP
    WITH TIME ZONE, completed_at=greatest(now(), tasks.started_at, tasks.updated_at), updated_at=greatest(now(),
    tasks.started_at, tasks.updated_at), revision=(tasks.revision + %(revision_1)s::BIGINT)
WHERE tasks.task_id = ANY (array((
    SELECT to_end.task_id
    FROM to_end
)))
RETURNING tasks.task_id, tasks.queue;

-- due_tasks._CANCEL_OF_RUN
WITH to_end AS (
    SELECT tasks.task_id AS task_id
    FROM tasks
    WHERE tasks.workflow_run_id = %(of_run)s::UUID AND tasks.status IN ('pending', 'running', 'sleeping')
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
)
UPDATE tasks
SET status=CAST(%(param_1)s::VARCHAR AS TEXT), reason=CAST(%(param_2)s::VARCHAR AS TEXT),
    ready_at=%(ready_at)s::TIMESTAMP WITH TIME ZONE, due_at=%(due_at)s::TIMESTAMP WITH TIME ZONE,
    limit_at=%(limit_at)s::TIMESTAMP WITH TIME ZONE, wake_at=%(wake_at)s::TIMESTAMP WITH TIME ZONE,
    wait_step=%(wait_step)s::VARCHAR, wait_all=%(wait_all)s::TEXT[], lease_expires_at=%(lease_expires_at)s::TIMESTAMP
    WITH TIME ZONE, completed_at=greatest(now(), tasks.started_at, tasks.updated_at), cancelled_at=greatest(now(),
    tasks.started_at, tasks.updated_at), updated_at=greatest(now(), tasks.started_at, tasks.updated_at),
    revision=(tasks.revision + %(revision_1)s::BIGINT)
WHERE tasks.task_id = ANY (array((
    SELECT to_end.task_id
    FROM to_end
)))
RETURNING tasks.task_id, tasks.queue;

-- events._LIST_WAITERS
SELECT event_waits.task_id
FROM event_waits
WHERE event_waits.queue = %(of_queue)s::VARCHAR AND event_waits.event_name = %(name)s::VARCHAR
LIMIT %(most)s::INTEGER;

-- events._LIST_SATISFIED
SELECT event_waits.task_id
FROM event_waits
JOIN tasks ON tasks.task_id = event_waits.task_id
WHERE event_waits.queue = %(of_queue)s::VARCHAR AND event_waits.event_name = %(name)s::VARCHAR AND (tasks.wait_all IS
    NULL OR NOT (EXISTS (
    SELECT wanted
    FROM unnest(tasks.wait_all) AS wanted
    WHERE NOT (EXISTS (
        SELECT 1
        FROM events
        WHERE events.queue = event_waits.queue AND events.event_name = wanted AND (events.workflow_run_id IS NULL OR
            events.workflow_run_id = event_waits.workflow_run_id)
    ))
)))
LIMIT %(most)s::INTEGER;

-- events._LOCK_GROUPS
SELECT pg_advisory_xact_lock(%(pg_advisory_xact_lock_2)s::INTEGER, number) AS pg_advisory_xact_lock_1
FROM unnest(%(numbers)s::INTEGER[]) AS number;

-- events._LOCK_NAMES
SELECT pg_advisory_xact_lock(hashtextextended(name, %(hashtextextended_1)s::INTEGER)) AS pg_advisory_xact_lock_1
FROM unnest(%(locks)s::TEXT[]) AS name
WHERE (
    SELECT count(pg_advisory_xact_lock_shared(%(pg_advisory_xact_lock_shared_1)s::INTEGER, number)) AS count_1
    FROM unnest(%(numbers)s::INTEGER[]) AS number
) >= %(param_1)s::INTEGER;

-- events._TRY_LOCK
SELECT CASE WHEN pg_try_advisory_xact_lock_shared(%(pg_try_advisory_xact_lock_shared_1)s::INTEGER, %(number)s::INTEGER)
    THEN pg_try_advisory_xact_lock(hashtextextended(%(lock)s::VARCHAR, %(hashtextextended_1)s::INTEGER)) ELSE
    %(param_1)s END AS anon_1;

-- events._TRY_SHARE
SELECT CASE WHEN pg_try_advisory_xact_lock_shared(%(pg_try_advisory_xact_lock_shared_1)s::INTEGER, %(number)s::INTEGER)
    THEN pg_try_advisory_xact_lock_shared(hashtextextended(%(lock)s::VARCHAR, %(hashtextextended_1)s::INTEGER)) ELSE
    %(param_1)s END AS anon_1;

-- events._EMIT
INSERT INTO events (queue, event_name, workflow_run_id, payload)
VALUES (%(of_queue)s::VARCHAR, %(name)s::VARCHAR, %(of_run)s::UUID, %(content)s::JSON)
ON CONFLICT DO NOTHING
RETURNING events.event_id, events.event_name, events.workflow_run_id, events.payload, events.emitted_at;

-- events._GET
SELECT events.event_id, events.event_name, events.workflow_run_id, events.payload, events.emitted_at
FROM events
WHERE events.queue = %(of_queue)s::VARCHAR AND events.event_name = %(name)s::VARCHAR AND events.workflow_run_id IS NOT
    DISTINCT FROM %(of_run)s::UUID;

-- events._SEE
SELECT events.event_id, events.event_name, events.workflow_run_id, events.payload, events.emitted_at
FROM events
WHERE events.queue = %(of_queue)s::VARCHAR AND events.event_name = ANY (%(names)s::TEXT[]) AND (events.workflow_run_id
    IS NULL OR events.workflow_run_id = %(of_run)s::UUID)
ORDER BY events.workflow_run_id ASC NULLS LAST;

-- events._SEE_NAMES
SELECT events.event_name
FROM events
WHERE events.queue = %(of_queue)s::VARCHAR AND events.event_name = ANY (%(names)s::TEXT[]) AND (events.workflow_run_id
    IS NULL OR events.workflow_run_id = %(of_run)s::UUID);

-- events._MEASURE
SELECT coalesce(sum(coalesce(CASE WHEN (pg_column_compression(events.payload) IS NULL) THEN
    pg_column_size(events.payload) ELSE octet_length(CAST(events.payload AS TEXT)) END, %(coalesce_2)s::INTEGER)),
    %(coalesce_3)s::INTEGER) AS coalesce_1
FROM events
WHERE events.queue = %(of_queue)s::VARCHAR AND events.event_name = ANY (%(names)s::TEXT[]) AND (events.workflow_run_id
    IS NULL OR events.workflow_run_id = %(of_run)s::UUID);

-- events._LIST
SELECT events.event_id, events.event_name, events.workflow_run_id, events.payload, events.emitted_at
FROM events
WHERE events.queue = %(of_queue)s::VARCHAR AND events.event_id > %(after)s::BIGINT
ORDER BY events.event_id
LIMIT %(most)s;

-- events._LIST_OF_RUN
SELECT events.event_id, events.event_name, events.workflow_run_id, events.payload, events.emitted_at
FROM events
WHERE events.queue = %(of_queue)s::VARCHAR AND events.workflow_run_id = %(of_run)s::UUID AND events.event_id >
    %(after)s::BIGINT
ORDER BY events.event_id
LIMIT %(most)s;

-- events._INSERT_WAITS
WITH item AS (
    SELECT row.task_id AS task_id, row.event_name AS event_name, row.queue AS queue, row.workflow_run_id AS
        workflow_run_id
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, event_name TEXT, queue TEXT,
        workflow_run_id UUID)
)
INSERT INTO event_waits (task_id, event_name, queue, workflow_run_id)
SELECT item.task_id, item.event_name, item.queue, item.workflow_run_id
FROM item
ON CONFLICT DO NOTHING;

-- events._DELETE_WAITS_OF_RUNS
DELETE
FROM event_waits
WHERE event_waits.task_id IN (
    SELECT tasks.task_id
    FROM tasks
    WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[])
);

-- events._DELETE_WAITS
DELETE
FROM event_waits
WHERE event_waits.task_id = ANY (%(ids)s::UUID[]);

-- events._DELETE_OF_QUEUE
DELETE
FROM events
WHERE events.queue = %(of_queue)s::VARCHAR;

-- events._DELETE
DELETE
FROM events
WHERE events.queue = %(of_queue)s::VARCHAR AND events.event_name = %(name)s::VARCHAR AND events.workflow_run_id IS NOT
    DISTINCT FROM %(of_run)s::UUID;

-- executions._INSERT
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.workflow_id AS workflow_id, row.strict_templates AS
        strict_templates, row.run AS run, row.memory AS memory, row.breakers AS breakers, row.parent_step AS
        parent_step, row.parent_child AS parent_child, row.deadline_at AS deadline_at
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, workflow_id UUID,
        strict_templates BOOLEAN, run JSON, memory JSON, breakers JSON, parent_step TEXT, parent_child TEXT, deadline_at
        TIMESTAMP WITH TIME ZONE)
)
INSERT INTO workflow_executions (workflow_run_id, workflow_id, strict_templates, run, memory, breakers, parent_step,
    parent_child, deadline_at)
SELECT item.workflow_run_id, item.workflow_id, item.strict_templates, item.run, item.memory, item.breakers,
    item.parent_step, item.parent_child, item.deadline_at
FROM item;

-- executions._LIST_PARENTS
SELECT workflow_executions.workflow_run_id, workflow_executions.workflow_id, CASE WHEN (workflow_executions.parent_step
    IS NOT NULL) THEN workflow_runs.parent_workflow_run_id END AS parent
FROM workflow_executions
JOIN workflow_runs ON workflow_runs.workflow_run_id = workflow_executions.workflow_run_id
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_executions.workflow_run_id = ANY
    (%(ids)s::UUID[]);

-- executions._LOCK
SELECT workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.inputs, workflow_runs.queue,
    workflow_runs.workflow_hash, workflow_runs.started_at, workflow_runs.cancel_requested_at,
    workflow_runs.parent_workflow_run_id, workflow_executions.workflow_id, workflow_executions.strict_templates,
    workflow_executions.run, workflow_executions.memory, workflow_executions.breakers, workflow_executions.parent_step,
    workflow_executions.parent_child, workflow_executions.deadline_at, workflow_runs.paused_at, now() AS now
FROM workflow_runs
JOIN workflow_executions ON workflow_executions.workflow_run_id = workflow_runs.workflow_run_id
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_executions.workflow_run_id = ANY
    (%(ids)s::UUID[])
ORDER BY workflow_runs.workflow_run_id
FOR NO KEY UPDATE OF workflow_runs, workflow_executions;

-- executions._GET_DOCUMENT
SELECT workflows.document
FROM workflows
WHERE workflows.workflow_id = %(of_workflow)s::UUID;

-- executions._UPDATE
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.memory AS memory, row.breakers AS breakers, row.deadline_at AS
        deadline_at
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, memory JSON, breakers JSON,
        deadline_at TIMESTAMP WITH TIME ZONE)
)
UPDATE workflow_executions
SET memory=item.memory, breakers=item.breakers, deadline_at=item.deadline_at
FROM item
WHERE workflow_executions.workflow_run_id = item.workflow_run_id;

-- executions._LIST_OF_SCOPES
SELECT step.workflow_run_id, step.path, step.region, step.scope, step.operator_type, step.status, step.attempt,
    step.task_id, step.error, step.facts, step.due_at, step.awaits, step.started_at, step.completed_at
FROM unnest(%(runs)s::UUID[], %(paths)s::TEXT[]) AS place(workflow_run_id, path), LATERAL (
    SELECT workflow_steps.workflow_run_id AS workflow_run_id, workflow_steps.path AS path, workflow_steps.region AS
        region, workflow_steps.scope AS scope, workflow_steps.operator_type AS operator_type, workflow_steps.status AS
        status, workflow_steps.attempt AS attempt, workflow_steps.task_id AS task_id, workflow_steps.error AS error,
        workflow_steps.facts AS facts, workflow_steps.due_at AS due_at, workflow_steps.awaits AS awaits,
        workflow_steps.started_at AS started_at, workflow_steps.completed_at AS completed_at, workflow_steps.sequence AS
        sequence
    FROM workflow_steps
    WHERE workflow_steps.workflow_run_id = place.workflow_run_id AND workflow_steps.scope = place.path
    LIMIT ALL
    OFFSET %(param_1)s::INTEGER
) AS step
ORDER BY step.sequence;

-- executions._LIST_FIRST
SELECT workflow_steps.workflow_run_id, workflow_steps.path, workflow_steps.region, workflow_steps.scope,
    workflow_steps.operator_type, workflow_steps.status, workflow_steps.attempt, workflow_steps.task_id,
    workflow_steps.error, workflow_steps.facts, workflow_steps.due_at, workflow_steps.awaits, workflow_steps.started_at,
    workflow_steps.completed_at
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID
ORDER BY workflow_steps.sequence
LIMIT %(most)s::INTEGER;

-- executions._LIST_OPEN
SELECT workflow_steps.workflow_run_id, workflow_steps.path, workflow_steps.region, workflow_steps.scope,
    workflow_steps.operator_type, workflow_steps.status, workflow_steps.attempt, workflow_steps.task_id,
    workflow_steps.error, workflow_steps.facts, workflow_steps.due_at, workflow_steps.awaits, workflow_steps.started_at,
    workflow_steps.completed_at
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND starts_with(workflow_steps.path, %(prefix)s::VARCHAR) AND
    (workflow_steps.completed_at IS NULL OR CAST((workflow_steps.facts ->> %(facts_1)s::TEXT) AS VARCHAR) =
    %(param_1)s::VARCHAR)
ORDER BY workflow_steps.sequence
LIMIT %(most)s::INTEGER;

-- executions._SWEEP
UPDATE workflow_steps
SET status=CASE WHEN (workflow_steps.status != 'waiting' OR workflow_steps.attempt >
    coalesce(CAST(CAST((workflow_steps.facts ->> %(facts_1)s::TEXT) AS VARCHAR) AS INTEGER), %(coalesce_1)s::INTEGER))
    THEN 'cancelled' ELSE 'skipped' END, due_at=%(due_at)s::TIMESTAMP WITH TIME ZONE, awaits=%(awaits)s::VARCHAR,
    completed_at=now()
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND workflow_steps.completed_at IS NULL;

-- executions._SWEEP_SUBMITTED
UPDATE workflow_steps
SET facts=CAST(CAST(workflow_steps.facts AS JSONB) || jsonb_build_object(%(jsonb_build_object_1)s::VARCHAR,
    %(jsonb_build_object_2)s::VARCHAR) AS JSON), due_at=%(due_at)s::TIMESTAMP WITH TIME ZONE
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND CAST((workflow_steps.facts ->> %(facts_1)s::TEXT) AS
    VARCHAR) = %(param_1)s::VARCHAR;

-- executions._LIST_AWAITING
SELECT workflow_steps.workflow_run_id, workflow_steps.path, workflow_steps.region, workflow_steps.scope,
    workflow_steps.operator_type, workflow_steps.status, workflow_steps.attempt, workflow_steps.task_id,
    workflow_steps.error, workflow_steps.facts, workflow_steps.due_at, workflow_steps.awaits, workflow_steps.started_at,
    workflow_steps.completed_at
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND workflow_steps.awaits = %(name)s::VARCHAR;

-- executions._GET_RESULTS
SELECT workflow_steps.path, workflow_steps.result
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND workflow_steps.path = ANY (%(paths)s::TEXT[]);

-- executions._GET_FRAMES
SELECT frame.workflow_run_id, frame.path, frame.variables, frame.names, frame.value
FROM unnest(%(runs)s::UUID[], %(paths)s::TEXT[]) AS place(workflow_run_id, path), LATERAL (
    SELECT workflow_frames.workflow_run_id AS workflow_run_id, workflow_frames.path AS path, workflow_frames.variables
        AS variables, workflow_frames.names AS names, workflow_frames.value AS value
    FROM workflow_frames
    WHERE workflow_frames.workflow_run_id = place.workflow_run_id AND workflow_frames.path = place.path
    LIMIT ALL
    OFFSET %(param_1)s::INTEGER
) AS frame;

-- executions._GET_VALUES
SELECT json_agg(workflow_frames.value ORDER BY wanted.place) AS all_values
FROM unnest(%(paths)s::TEXT[]) WITH ORDINALITY AS wanted(path, place)
LEFT OUTER JOIN workflow_frames ON workflow_frames.workflow_run_id = %(of_run)s::UUID AND workflow_frames.path =
    wanted.path;

-- executions._SAVE_FRAMES
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.path AS path, row.variables AS variables, row.names AS names,
        row.value AS value
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, path TEXT, variables JSON,
        names JSON, value JSON)
)
INSERT INTO workflow_frames (workflow_run_id, path, variables, names, value)
SELECT item.workflow_run_id, item.path, item.variables, item.names, item.value
FROM item
ON CONFLICT (workflow_run_id, path) DO UPDATE SET variables = excluded.variables, names = excluded.names, value =
    excluded.value;

-- executions._INSERT_STEPS
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.path AS path, row.region AS region, row.scope AS scope,
        row.operator_type AS operator_type, row.status AS status, row.attempt AS attempt, row.task_id AS task_id,
        row.result AS result, row.error AS error, row.facts AS facts, row.due_at AS due_at, row.awaits AS awaits,
        row.queue AS queue, row.started_at AS started_at, row.completed_at AS completed_at
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, path TEXT, region TEXT, scope
        TEXT, operator_type TEXT, status TEXT, attempt INTEGER, task_id UUID, result JSON, error JSON, facts JSON,
        due_at TIMESTAMP WITH TIME ZONE, awaits TEXT, queue TEXT, started_at TIMESTAMP WITH TIME ZONE, completed_at
        TIMESTAMP WITH TIME ZONE)
)
INSERT INTO workflow_steps (workflow_run_id, path, region, scope, operator_type, status, attempt, task_id, result,
    error, facts, due_at, awaits, queue, started_at, completed_at)
SELECT item.workflow_run_id, item.path, item.region, item.scope, item.operator_type, item.status, item.attempt,
    item.task_id, item.result, item.error, item.facts, item.due_at, item.awaits, item.queue, item.started_at,
    item.completed_at
FROM item;

-- executions._UPDATE_STEPS
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.path AS path, row.result AS result, row.status AS status,
        row.attempt AS attempt, row.task_id AS task_id, row.error AS error, row.facts AS facts, row.due_at AS due_at,
        row.awaits AS awaits, row.started_at AS started_at, row.completed_at AS completed_at, row.has_result AS
        has_result
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, path TEXT, result JSON, status
        TEXT, attempt INTEGER, task_id UUID, error JSON, facts JSON, due_at TIMESTAMP WITH TIME ZONE, awaits TEXT,
        started_at TIMESTAMP WITH TIME ZONE, completed_at TIMESTAMP WITH TIME ZONE, has_result BOOLEAN)
)
UPDATE workflow_steps
SET status=item.status, attempt=item.attempt, task_id=item.task_id, result=CASE WHEN item.has_result THEN item.result
    ELSE workflow_steps.result END, error=item.error, facts=item.facts, due_at=item.due_at, awaits=item.awaits,
    started_at=item.started_at, completed_at=item.completed_at
FROM item
WHERE workflow_steps.workflow_run_id = item.workflow_run_id AND workflow_steps.path = item.path;

-- executions._INSERT_WARNINGS
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.path AS path, row.code AS code, row.expression AS expression
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, path TEXT, code TEXT,
        expression TEXT)
)
INSERT INTO workflow_warnings (workflow_run_id, path, code, expression)
SELECT item.workflow_run_id, item.path, item.code, item.expression
FROM item
ON CONFLICT DO NOTHING;

-- executions._FIND_WORK
SELECT tasks.task_id, tasks.workflow_run_id
FROM tasks
WHERE tasks.task_id = ANY (%(ids)s::UUID[]) AND tasks.step IS NOT NULL;

-- executions._LIST_RUNS_AWAITING
SELECT DISTINCT workflow_steps.workflow_run_id
FROM workflow_steps
WHERE workflow_steps.queue = %(of_queue)s::VARCHAR AND workflow_steps.awaits = %(name)s::VARCHAR AND (%(of_run)s::UUID
    IS NULL OR workflow_steps.workflow_run_id = %(of_run)s::UUID);

-- executions._LIST_CHILDREN
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
JOIN workflow_executions ON workflow_executions.workflow_run_id = workflow_runs.workflow_run_id
WHERE workflow_runs.parent_workflow_run_id = %(of_run)s::UUID AND workflow_runs.completed_at IS NULL AND
    workflow_executions.parent_step IS NOT NULL AND (%(paths)s::TEXT[] IS NULL OR workflow_executions.parent_step = ANY
    (%(paths)s::TEXT[]))
ORDER BY workflow_runs.workflow_run_id;

-- executions._LIST_BELOW
WITH RECURSIVE below(workflow_run_id) AS (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id
    FROM workflow_runs
    JOIN workflow_executions ON workflow_executions.workflow_run_id = workflow_runs.workflow_run_id
    WHERE workflow_runs.completed_at IS NULL AND workflow_executions.parent_step IS NOT NULL AND
        workflow_runs.parent_workflow_run_id = %(of_run)s::UUID
    UNION ALL
    SELECT workflow_runs.workflow_run_id AS workflow_run_id
    FROM workflow_runs
    JOIN workflow_executions ON workflow_executions.workflow_run_id = workflow_runs.workflow_run_id, below
    WHERE workflow_runs.completed_at IS NULL AND workflow_executions.parent_step IS NOT NULL AND
        workflow_runs.parent_workflow_run_id = below.workflow_run_id
)
SELECT below.workflow_run_id
FROM below;

-- idempotency_keys._LOCK
SELECT pg_advisory_xact_lock(%(pg_advisory_xact_lock_2)s::INTEGER, hash) AS pg_advisory_xact_lock_1
FROM unnest(%(hashes)s::INTEGER[]) AS hash;

-- idempotency_keys._INSERT
WITH item AS (
    SELECT row.scope AS scope, row.body AS body, row.answer AS answer
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(scope BYTEA, body BYTEA, answer TEXT)
)
INSERT INTO idempotency_keys (scope, body, answer)
SELECT item.scope, item.body, item.answer
FROM item;

-- idempotency_keys._PUT
WITH item AS (
    SELECT row.scope AS scope, row.body AS body, row.answer AS answer
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(scope BYTEA, body BYTEA, answer TEXT)
)
INSERT INTO idempotency_keys (scope, body, answer)
SELECT item.scope, item.body, item.answer
FROM item
ON CONFLICT (scope) DO UPDATE SET answer = excluded.answer, created_at = now();

-- idempotency_keys._GET
SELECT idempotency_keys.scope, idempotency_keys.body, idempotency_keys.answer
FROM idempotency_keys
WHERE idempotency_keys.scope = ANY (array((
    SELECT CAST(wanted AS BYTEA) AS wanted
    FROM json_array_elements_text(CAST(%(scopes)s::VARCHAR AS JSON)) AS wanted
)));

-- idempotency_keys._PRUNE
WITH "old" AS (
    SELECT idempotency_keys.scope AS scope
    FROM idempotency_keys
    WHERE idempotency_keys.created_at < now() - %(age)s
    ORDER BY idempotency_keys.created_at
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
DELETE
FROM idempotency_keys
WHERE idempotency_keys.scope = ANY (array((
    SELECT "old".scope
    FROM "old"
)));

-- late_runs._FIND
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.expected_by <= now() AND workflow_runs.late_at IS NULL AND workflow_runs.status IN ('pending',
    'running') AND (workflow_runs.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'mark_late_runs'
))
ORDER BY workflow_runs.expected_by
LIMIT %(most)s::INTEGER;

-- late_runs._MARK
WITH late AS (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.status AS status
    FROM workflow_runs
    WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_runs.expected_by <= now() AND
        workflow_runs.late_at IS NULL AND workflow_runs.status IN ('pending', 'running')
    ORDER BY workflow_runs.workflow_run_id
    FOR NO KEY UPDATE SKIP LOCKED
), run AS (
    UPDATE workflow_runs
    SET revision=(workflow_runs.revision + %(revision_1)s::BIGINT), late_at=greatest(now(), workflow_runs.updated_at),
        updated_at=greatest(now(), workflow_runs.updated_at)
    WHERE workflow_runs.workflow_run_id = ANY (array((
        SELECT late.workflow_run_id
        FROM late
    )))
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt, workflow_runs.late_at
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, run.late_at AS late_at,
        CAST(%(param_1)s::VARCHAR AS TEXT) AS anon_1, late.status AS status_1, CAST(%(param_2)s::VARCHAR AS TEXT) AS
        anon_2, CAST(NULL AS TEXT) AS anon_3, CAST(NULL AS TEXT) AS anon__1
    FROM run
    JOIN late ON late.workflow_run_id = run.workflow_run_id
    WHERE late.status IS DISTINCT FROM run.status OR CAST(%(param_1)s::VARCHAR AS TEXT) != %(param_3)s::VARCHAR
    ORDER BY run.workflow_run_id
)
SELECT run.workflow_run_id
FROM run;

-- leases._INSERT_ATTEMPTS
WITH item AS (
    SELECT row.run_id AS run_id, row.task_id AS task_id, row.attempt AS attempt, row.status AS status, row.reason AS
        reason, row.claimed_by AS claimed_by, row.lease_token AS lease_token, row.started_at AS started_at, row.ended_at
        AS ended_at, row.error AS error
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(run_id UUID, task_id UUID, attempt INTEGER, status
        TEXT, reason TEXT, claimed_by TEXT, lease_token UUID, started_at TIMESTAMP WITH TIME ZONE, ended_at TIMESTAMP
        WITH TIME ZONE, error JSON)
)
INSERT INTO task_attempts (run_id, task_id, attempt, status, reason, claimed_by, lease_token, started_at, ended_at,
    error)
SELECT item.run_id, item.task_id, item.attempt, item.status, item.reason, item.claimed_by, item.lease_token,
    item.started_at, item.ended_at, item.error
FROM item
ON CONFLICT (run_id) DO NOTHING;

-- leases._LIST_ATTEMPTS
SELECT task_attempts.run_id, task_attempts.task_id, task_attempts.attempt, task_attempts.status, task_attempts.reason,
    task_attempts.claimed_by, task_attempts.lease_token, task_attempts.started_at, task_attempts.ended_at,
    task_attempts.error
FROM task_attempts
WHERE task_attempts.task_id = %(of_task)s::UUID AND task_attempts.attempt > %(after)s::BIGINT
ORDER BY task_attempts.attempt
LIMIT %(most)s;

-- leases._INSERT_SPENT
WITH item AS (
    SELECT row.lease_token AS lease_token, row.task_id AS task_id, row.run_id AS run_id, row.call AS call, row.body AS
        body, row.answer AS answer
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(lease_token UUID, task_id UUID, run_id UUID, call
        TEXT, body BYTEA, answer JSON)
)
INSERT INTO spent_leases (lease_token, task_id, run_id, call, body, answer)
SELECT item.lease_token, item.task_id, item.run_id, item.call, item.body, item.answer
FROM item;

-- leases._GET_SPENT
SELECT spent_leases.lease_token, spent_leases.task_id, spent_leases.run_id, spent_leases.call, spent_leases.body,
    spent_leases.answer, spent_leases.spent_at
FROM spent_leases
WHERE spent_leases.lease_token = ANY (%(tokens)s::UUID[]);

-- leases._GET_RUNS_OF_TOKENS
SELECT spent_leases.lease_token, spent_leases.run_id, spent_leases.task_id
FROM spent_leases
WHERE spent_leases.lease_token = ANY (%(tokens)s::UUID[])
UNION ALL
SELECT task_attempts.lease_token, task_attempts.run_id, task_attempts.task_id
FROM task_attempts
WHERE task_attempts.task_id = ANY (%(tasks)s::UUID[]) AND task_attempts.lease_token = ANY (%(tokens)s::UUID[]);

-- leases._COUNT_LATE
SELECT late_reports.task_id, count(*) AS reports
FROM late_reports
WHERE late_reports.task_id = ANY (%(tasks)s::UUID[])
GROUP BY late_reports.task_id;

-- leases._INSERT_LATE
WITH item AS (
    SELECT row.task_id AS task_id, row.run_id AS run_id, row.lease_token_suffix AS lease_token_suffix, row.call AS call,
        row.body AS body
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, run_id UUID, lease_token_suffix TEXT,
        call TEXT, body JSON)
)
INSERT INTO late_reports (task_id, run_id, lease_token_suffix, call, body)
SELECT item.task_id, item.run_id, item.lease_token_suffix, item.call, item.body
FROM item;

-- leases._LIST_LATE
SELECT late_reports.late_report_id, late_reports.task_id, late_reports.run_id, late_reports.at,
    late_reports.lease_token_suffix, late_reports.call, late_reports.body
FROM late_reports
WHERE late_reports.task_id = %(of_task)s::UUID
ORDER BY late_reports.late_report_id;

-- log_lines._APPEND_TO_TASKS
WITH item AS (
    SELECT row.task_id AS task_id, row.level AS level, row.is_truncated AS is_truncated, row.at AS at, row.text AS text,
        row.fields AS fields, row.call AS call, row.place AS place
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, level SMALLINT, is_truncated BOOLEAN,
        at TIMESTAMP WITH TIME ZONE, text TEXT, fields JSON, call SMALLINT, place BIGINT)
), owner AS (
    SELECT tasks.task_id AS task_id, tasks.workflow_run_id AS workflow_run_id, tasks.attempt AS attempt
    FROM tasks
    WHERE tasks.task_id = ANY (%(ids)s::UUID[])
    ORDER BY tasks.task_id
    FOR KEY SHARE
), inserted AS (
    INSERT INTO log_lines (workflow_run_id, task_id, attempt, level, is_truncated, at, text, fields, call)
    SELECT owner.workflow_run_id AS workflow_run_id, owner.task_id AS task_id, owner.attempt AS attempt, item.level AS
        level, item.is_truncated AS is_truncated, coalesce(item.at, now()) AS coalesce_1, item.text AS text, item.fields
        AS fields, item.call AS call
    FROM item
    JOIN owner ON owner.task_id = item.task_id
    ORDER BY item.place
)
SELECT owner.task_id
FROM owner;

-- log_lines._APPEND_TO_RUNS
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.level AS level, row.is_truncated AS is_truncated, row.at AS at,
        row.text AS text, row.fields AS fields, row.call AS call, row.place AS place
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, level SMALLINT, is_truncated
        BOOLEAN, at TIMESTAMP WITH TIME ZONE, text TEXT, fields JSON, call SMALLINT, place BIGINT)
), owner AS (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.attempt AS attempt
    FROM workflow_runs
    WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[])
    ORDER BY workflow_runs.workflow_run_id
    FOR KEY SHARE
), inserted AS (
    INSERT INTO log_lines (workflow_run_id, attempt, level, is_truncated, at, text, fields, call)
    SELECT owner.workflow_run_id AS workflow_run_id, owner.attempt AS attempt, item.level AS level, item.is_truncated AS
        is_truncated, coalesce(item.at, now()) AS coalesce_1, item.text AS text, item.fields AS fields, item.call AS
        call
    FROM item
    JOIN owner ON owner.workflow_run_id = item.workflow_run_id
    ORDER BY item.place
)
SELECT owner.workflow_run_id
FROM owner;

-- monitors._INSERT
INSERT INTO monitors (name, workflow_name, cron, timezone, every_seconds, grace_seconds, max_runtime_seconds, tags,
    tag_texts, paused, created_by, state, last_run_id, last_ok_at, next_expected_at, late_since, consecutive_failures,
    since_at, seen_from, followed, look_at)
VALUES (%(of_monitor)s::VARCHAR, %(new_workflow_name)s::VARCHAR, %(new_cron)s::VARCHAR, %(new_timezone)s::VARCHAR,
    %(new_every_seconds)s, %(new_grace_seconds)s, %(new_max_runtime_seconds)s, %(new_tags)s::JSON,
    %(new_tag_texts)s::JSONB, %(new_paused)s, %(new_created_by)s::VARCHAR, %(new_state)s::VARCHAR,
    %(new_last_run_id)s::UUID, %(new_last_ok_at)s::TIMESTAMP WITH TIME ZONE, %(new_next_expected_at)s::TIMESTAMP WITH
    TIME ZONE, %(new_late_since)s::TIMESTAMP WITH TIME ZONE, %(new_consecutive_failures)s::INTEGER,
    %(new_since_at)s::TIMESTAMP WITH TIME ZONE, %(new_seen_from)s::TIMESTAMP WITH TIME ZONE, %(new_followed)s::JSONB,
    %(new_look_at)s::TIMESTAMP WITH TIME ZONE)
ON CONFLICT DO NOTHING
RETURNING monitors.name, monitors.workflow_name, monitors.cron, monitors.timezone, monitors.every_seconds,
    monitors.grace_seconds, monitors.max_runtime_seconds, monitors.tags, monitors.paused, monitors.paused_reason,
    monitors.created_by, monitors.state, monitors.last_run_id, monitors.last_ok_at, monitors.next_expected_at,
    monitors.late_since, monitors.consecutive_failures, monitors.since_at, monitors.seen_from, monitors.followed,
    monitors.look_at, monitors.created_at, monitors.updated_at, monitors.revision, now() AS now;

-- monitors._GET
SELECT monitors.name, monitors.workflow_name, monitors.cron, monitors.timezone, monitors.every_seconds,
    monitors.grace_seconds, monitors.max_runtime_seconds, monitors.tags, monitors.paused, monitors.paused_reason,
    monitors.created_by, monitors.state, monitors.last_run_id, monitors.last_ok_at, monitors.next_expected_at,
    monitors.late_since, monitors.consecutive_failures, monitors.since_at, monitors.seen_from, monitors.followed,
    monitors.look_at, monitors.created_at, monitors.updated_at, monitors.revision, now() AS now
FROM monitors
WHERE monitors.name = %(of_monitor)s::VARCHAR;

-- monitors._LOCK
SELECT monitors.name, monitors.workflow_name, monitors.cron, monitors.timezone, monitors.every_seconds,
    monitors.grace_seconds, monitors.max_runtime_seconds, monitors.tags, monitors.paused, monitors.paused_reason,
    monitors.created_by, monitors.state, monitors.last_run_id, monitors.last_ok_at, monitors.next_expected_at,
    monitors.late_since, monitors.consecutive_failures, monitors.since_at, monitors.seen_from, monitors.followed,
    monitors.look_at, monitors.created_at, monitors.updated_at, monitors.revision, now() AS now
FROM monitors
WHERE monitors.name = %(of_monitor)s::VARCHAR
FOR UPDATE;

-- monitors._UPDATE
UPDATE monitors
SET workflow_name=%(new_workflow_name)s::VARCHAR, cron=%(new_cron)s::VARCHAR, timezone=%(new_timezone)s::VARCHAR,
    every_seconds=%(new_every_seconds)s, grace_seconds=%(new_grace_seconds)s,
    max_runtime_seconds=%(new_max_runtime_seconds)s, tags=%(new_tags)s::JSON, tag_texts=%(new_tag_texts)s::JSONB,
    paused=%(new_paused)s, paused_reason=%(paused_reason)s::VARCHAR, created_by=%(new_created_by)s::VARCHAR,
    state=%(new_state)s::VARCHAR, last_run_id=%(new_last_run_id)s::UUID, last_ok_at=%(new_last_ok_at)s::TIMESTAMP WITH
    TIME ZONE, next_expected_at=%(new_next_expected_at)s::TIMESTAMP WITH TIME ZONE,
    late_since=%(new_late_since)s::TIMESTAMP WITH TIME ZONE, consecutive_failures=%(new_consecutive_failures)s::INTEGER,
    since_at=%(new_since_at)s::TIMESTAMP WITH TIME ZONE, seen_from=%(new_seen_from)s::TIMESTAMP WITH TIME ZONE,
    followed=%(new_followed)s::JSONB, look_at=%(new_look_at)s::TIMESTAMP WITH TIME ZONE, updated_at=now(),
    revision=(monitors.revision + %(revision_1)s::BIGINT)
WHERE monitors.name = %(of_monitor)s::VARCHAR
RETURNING monitors.name, monitors.workflow_name, monitors.cron, monitors.timezone, monitors.every_seconds,
    monitors.grace_seconds, monitors.max_runtime_seconds, monitors.tags, monitors.paused, monitors.paused_reason,
    monitors.created_by, monitors.state, monitors.last_run_id, monitors.last_ok_at, monitors.next_expected_at,
    monitors.late_since, monitors.consecutive_failures, monitors.since_at, monitors.seen_from, monitors.followed,
    monitors.look_at, monitors.created_at, monitors.updated_at, monitors.revision, now() AS now;

-- monitors._DELETE
DELETE
FROM monitors
WHERE monitors.name = %(of_monitor)s::VARCHAR;

-- monitors._PAUSE
UPDATE monitors
SET paused=%(paused)s, paused_reason=%(why)s::VARCHAR, state='paused', next_expected_at=%(next_expected_at)s::TIMESTAMP
    WITH TIME ZONE, late_since=%(late_since)s::TIMESTAMP WITH TIME ZONE, look_at=%(look_at)s::TIMESTAMP WITH TIME ZONE,
    updated_at=now(), revision=(monitors.revision + %(revision_1)s::BIGINT)
WHERE monitors.name = %(of_monitor)s::VARCHAR AND monitors.paused IS false;

-- monitors._FIND_DUE
SELECT monitors.name
FROM monitors
WHERE monitors.paused IS false AND (monitors.name NOT IN (
    SELECT set_aside_rows.row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'watch_monitors'
)) AND (monitors.look_at <= now() OR (
    SELECT first_new.workflow_run_id
    FROM unnest(ARRAY['pending', 'running', 'completed', 'failed', 'cancelled']::text[]) AS anon_1(status)
    JOIN LATERAL (
        SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.status AS status, workflow_runs.attempt
            AS attempt, workflow_runs.revision AS revision, workflow_runs.created_at AS created_at,
            workflow_runs.started_at AS started_at, workflow_runs.completed_at AS completed_at, workflow_runs.updated_at
            AS updated_at
        FROM workflow_runs
        WHERE workflow_runs.workflow_name = monitors.workflow_name AND workflow_runs.status = anon_1.status AND
            workflow_runs.created_at >= monitors.seen_from AND (monitors.tag_texts IS NULL OR (workflow_runs.tag_texts
            @> monitors.tag_texts)) AND NOT ((monitors.followed ? CAST(workflow_runs.workflow_run_id AS TEXT)))
        ORDER BY workflow_runs.created_at, workflow_runs.workflow_run_id
        LIMIT %(param_1)s::INTEGER
    ) AS first_new ON true
    LIMIT %(param_2)s::INTEGER
) IS NOT NULL OR (
    SELECT entry.key
    FROM jsonb_each(monitors.followed) AS entry
    LEFT OUTER JOIN workflow_runs ON workflow_runs.workflow_run_id = CAST(entry.key AS UUID)
    WHERE workflow_runs.revision IS DISTINCT FROM CAST(CAST((CAST(entry.value AS JSONB) ->> %(param_3)s::INT) AS
        VARCHAR) AS BIGINT)
    LIMIT %(param_4)s::INTEGER
) IS NOT NULL)
ORDER BY monitors.look_at NULLS LAST, monitors.name
LIMIT %(most)s
FOR UPDATE OF monitors SKIP LOCKED;

-- monitors._LOCK_WATCHING
SELECT monitors.name, monitors.workflow_name, monitors.cron, monitors.timezone, monitors.every_seconds,
    monitors.grace_seconds, monitors.max_runtime_seconds, monitors.tags, monitors.paused, monitors.paused_reason,
    monitors.created_by, monitors.state, monitors.last_run_id, monitors.last_ok_at, monitors.next_expected_at,
    monitors.late_since, monitors.consecutive_failures, monitors.since_at, monitors.seen_from, monitors.followed,
    monitors.look_at, monitors.created_at, monitors.updated_at, monitors.revision, now() AS now
FROM monitors
WHERE monitors.name = ANY (%(names)s::TEXT[]) AND monitors.paused IS false
ORDER BY monitors.name
FOR UPDATE;

-- monitors._LIST_NEW
SELECT monitors.name, new_run.workflow_run_id, new_run.status, new_run.attempt, new_run.revision, new_run.created_at,
    new_run.started_at, new_run.completed_at, new_run.updated_at
FROM monitors
JOIN unnest(ARRAY['pending', 'running', 'completed', 'failed', 'cancelled']::text[]) AS anon_1(status) ON true
JOIN LATERAL (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.status AS status, workflow_runs.attempt AS
        attempt, workflow_runs.revision AS revision, workflow_runs.created_at AS created_at, workflow_runs.started_at AS
        started_at, workflow_runs.completed_at AS completed_at, workflow_runs.updated_at AS updated_at
    FROM workflow_runs
    WHERE workflow_runs.workflow_name = monitors.workflow_name AND workflow_runs.status = anon_1.status AND
        workflow_runs.created_at >= monitors.seen_from AND (monitors.tag_texts IS NULL OR (workflow_runs.tag_texts @>
        monitors.tag_texts)) AND NOT (monitors.followed ? CAST(workflow_runs.workflow_run_id AS TEXT))
    ORDER BY workflow_runs.created_at, workflow_runs.workflow_run_id
    LIMIT %(most)s
) AS new_run ON true
WHERE monitors.name = ANY (%(names)s::TEXT[]);

-- monitors._LIST_FOLLOWED
SELECT monitors.name, workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt,
    workflow_runs.revision, workflow_runs.created_at, workflow_runs.started_at, workflow_runs.completed_at,
    workflow_runs.updated_at
FROM monitors
JOIN jsonb_each(monitors.followed) AS entry ON true
JOIN workflow_runs ON workflow_runs.workflow_run_id = CAST(entry.key AS UUID)
WHERE monitors.name = ANY (%(names)s::TEXT[]);

-- monitors._NOTE
WITH item AS (
    SELECT row.name AS name, row.state AS state, row.last_run_id AS last_run_id, row.last_ok_at AS last_ok_at,
        row.next_expected_at AS next_expected_at, row.late_since AS late_since, row.consecutive_failures AS
        consecutive_failures, row.seen_from AS seen_from, row.followed AS followed, row.look_at AS look_at
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(name TEXT, state TEXT, last_run_id UUID, last_ok_at
        TIMESTAMP WITH TIME ZONE, next_expected_at TIMESTAMP WITH TIME ZONE, late_since TIMESTAMP WITH TIME ZONE,
        consecutive_failures INTEGER, seen_from TIMESTAMP WITH TIME ZONE, followed JSONB, look_at TIMESTAMP WITH TIME
        ZONE)
)
UPDATE monitors
SET state=item.state, last_run_id=item.last_run_id, last_ok_at=item.last_ok_at, next_expected_at=item.next_expected_at,
    late_since=item.late_since, consecutive_failures=item.consecutive_failures, seen_from=item.seen_from,
    followed=item.followed, look_at=item.look_at
FROM item
WHERE monitors.name = item.name;

-- monitors._FIND_RUNNING
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.workflow_name = %(workflow_name)s::VARCHAR AND workflow_runs.status = 'running' AND
    workflow_runs.workflow_id IS NULL AND coalesce(workflow_runs.tag_texts, CAST('{}' AS JSONB)) @> %(tags)s::JSONB
ORDER BY workflow_runs.created_at DESC, workflow_runs.workflow_run_id DESC
LIMIT %(param_1)s::INTEGER;

-- monitors._TRY_LOCK_NEWEST
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.workflow_name = %(workflow_name)s::VARCHAR AND workflow_runs.status = 'running' AND
    workflow_runs.workflow_id IS NULL AND coalesce(workflow_runs.tag_texts, CAST('{}' AS JSONB)) @> %(tags)s::JSONB
ORDER BY workflow_runs.created_at DESC, workflow_runs.workflow_run_id DESC
LIMIT %(param_1)s::INTEGER
FOR UPDATE SKIP LOCKED;

-- monitors._LOCK_RUNNING
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = %(of_run)s::UUID AND workflow_runs.status = 'running'
FOR UPDATE;

-- operations._SERVER
SELECT current_setting(%(current_setting_2)s::VARCHAR) AS current_setting_1;

-- operations._HAS_REVISION
SELECT to_regclass(%(to_regclass_1)s::VARCHAR) IS NOT NULL AS anon_1;

-- planned_runs._PLAN
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.workflow_id AS workflow_id, row.schedule_id AS schedule_id,
        row.data_interval_start AS data_interval_start, row.data_interval_end AS data_interval_end
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, workflow_id UUID, schedule_id
        UUID, data_interval_start TIMESTAMP WITH TIME ZONE, data_interval_end TIMESTAMP WITH TIME ZONE)
)
UPDATE workflow_runs
SET workflow_id=item.workflow_id, schedule_id=item.schedule_id, data_interval_start=item.data_interval_start,
    data_interval_end=item.data_interval_end
FROM item
WHERE workflow_runs.workflow_run_id = item.workflow_run_id;

-- planned_runs._LIST_SCHEDULES
SELECT planned.schedule_id
FROM (
    SELECT workflow_runs.schedule_id AS schedule_id, count(*) FILTER (WHERE workflow_runs.status = 'running') AS running
    FROM workflow_runs
    WHERE workflow_runs.schedule_id IS NOT NULL AND workflow_runs.status IN ('pending', 'running')
    GROUP BY workflow_runs.schedule_id
    HAVING bool_or(workflow_runs.status = 'pending' AND workflow_runs.workflow_id IS NOT NULL AND
        workflow_runs.paused_at IS NULL)
) AS planned
LEFT OUTER JOIN schedules ON schedules.schedule_id = planned.schedule_id
WHERE coalesce(planned.running < schedules.max_active_runs, true)
ORDER BY planned.schedule_id
LIMIT %(most)s::INTEGER;

-- planned_runs._COUNT_RUNNING
SELECT workflow_runs.schedule_id, count(*) AS amount
FROM workflow_runs
WHERE workflow_runs.schedule_id = ANY (%(ids)s::UUID[]) AND workflow_runs.status IN ('pending', 'running') AND
    workflow_runs.status = 'running'
GROUP BY workflow_runs.schedule_id;

-- planned_runs._FIND
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.schedule_id = %(of_schedule)s::UUID AND workflow_runs.status IN ('pending', 'running') AND
    workflow_runs.status = 'pending' AND workflow_runs.workflow_id IS NOT NULL AND workflow_runs.paused_at IS NULL AND
    (workflow_runs.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'begin_planned_runs'
))
ORDER BY workflow_runs.data_interval_end, workflow_runs.workflow_run_id
LIMIT %(most)s::INTEGER
FOR NO KEY UPDATE SKIP LOCKED;

-- planned_runs._SCHEDULES_OF_RUNS
SELECT DISTINCT workflow_runs.schedule_id
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_runs.schedule_id IS NOT NULL;

-- planned_runs._LOCK
SELECT workflow_runs.workflow_run_id, workflow_runs.workflow_name, workflow_runs.workflow_version,
    workflow_runs.workflow_hash, workflow_runs.status, workflow_runs.reason, workflow_runs.queue, workflow_runs.inputs,
    workflow_runs.result, workflow_runs.error, workflow_runs.tags, workflow_runs.links, workflow_runs.reported_progress,
    workflow_runs.created_by, workflow_runs.absurd_run_id, workflow_runs.parent_workflow_run_id,
    workflow_runs.workflow_id, workflow_runs.rerun_of_workflow_run_id, workflow_runs.schedule_id,
    workflow_runs.data_interval_start, workflow_runs.data_interval_end, workflow_runs.task_count, workflow_runs.attempt,
    workflow_runs.revision, workflow_runs.cancel_requested_at, workflow_runs.cancel_due_at, workflow_runs.paused_at,
    workflow_runs.deadline_at, workflow_runs.expected_by, workflow_runs.late_at, workflow_runs.heartbeat_seconds,
    workflow_runs.heartbeat_expires_at, workflow_runs.created_at, workflow_runs.started_at, workflow_runs.completed_at,
    workflow_runs.updated_at, (
    SELECT json_build_object('pending', count(*) FILTER (WHERE tasks.status = 'pending'), 'running', count(*) FILTER
        (WHERE tasks.status = 'running'), 'sleeping', count(*) FILTER (WHERE tasks.status = 'sleeping'), 'completed',
        count(*) FILTER (WHERE tasks.status = 'completed'), 'failed', count(*) FILTER (WHERE tasks.status = 'failed'),
        'cancelled', count(*) FILTER (WHERE tasks.status = 'cancelled')) AS json_build_object_1
    FROM tasks
    WHERE tasks.workflow_run_id = workflow_runs.workflow_run_id
) AS task_counts, now() AS now
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_runs.schedule_id IS NOT NULL AND
    workflow_runs.status IN ('pending', 'running') AND workflow_runs.status = 'pending' AND workflow_runs.workflow_id IS
    NOT NULL AND workflow_runs.paused_at IS NULL
ORDER BY workflow_runs.workflow_run_id
FOR NO KEY UPDATE;

-- queues._LIST
SELECT queues.queue, queues.paused, queues.max_concurrency, queues.default_lease_seconds, queues.retention_seconds,
    queues.created_at, queues.updated_at
FROM queues
WHERE queues.queue > %(after)s::VARCHAR
ORDER BY queues.queue
LIMIT %(most)s;

-- queues._GET
SELECT queues.queue, queues.paused, queues.max_concurrency, queues.default_lease_seconds, queues.retention_seconds,
    queues.created_at, queues.updated_at
FROM queues
WHERE queues.queue = %(of_queue)s::VARCHAR;

-- queues._LOCK
SELECT queues.queue, queues.paused, queues.max_concurrency, queues.default_lease_seconds, queues.retention_seconds,
    queues.created_at, queues.updated_at
FROM queues
WHERE queues.queue = %(of_queue)s::VARCHAR
FOR UPDATE;

-- queues._INSERT
INSERT INTO queues (queue)
VALUES (%(of_queue)s::VARCHAR)
ON CONFLICT DO NOTHING
RETURNING queues.queue, queues.paused, queues.max_concurrency, queues.default_lease_seconds, queues.retention_seconds,
    queues.created_at, queues.updated_at;

-- queues._REVIVE
INSERT INTO queues (queue)
SELECT %(of_queue)s::VARCHAR AS anon_1
WHERE EXISTS (
    SELECT 1
    FROM tasks
    WHERE tasks.queue = %(of_queue)s::VARCHAR AND tasks.status IN ('pending', 'running', 'sleeping')
)
ON CONFLICT DO NOTHING
RETURNING queues.queue;

-- queues._UPDATE
UPDATE queues
SET paused=%(new_paused)s, max_concurrency=%(new_max_concurrency)s::INTEGER,
    default_lease_seconds=%(new_default_lease_seconds)s, retention_seconds=%(new_retention_seconds)s, updated_at=now()
WHERE queues.queue = %(of_queue)s::VARCHAR
RETURNING queues.queue, queues.paused, queues.max_concurrency, queues.default_lease_seconds, queues.retention_seconds,
    queues.created_at, queues.updated_at;

-- queues._DELETE
DELETE
FROM queues
WHERE queues.queue = %(of_queue)s::VARCHAR;

-- queues._COUNT_OPEN
SELECT tasks.queue, tasks.status, count(*) AS amount, EXTRACT(epoch FROM now() - min(tasks.created_at)) AS
    oldest_seconds
FROM tasks
WHERE tasks.queue = ANY (%(queues)s::TEXT[]) AND tasks.status IN ('pending', 'running', 'sleeping')
GROUP BY tasks.queue, tasks.status;

-- run_ends._FIND_PAST_DEADLINE
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.deadline_at <= now() AND workflow_runs.status IN ('pending', 'running') AND
    workflow_runs.workflow_id IS NULL AND (workflow_runs.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'end_overdue_runs'
))
ORDER BY workflow_runs.deadline_at
LIMIT %(most)s::INTEGER;

-- run_ends._FIND_LOST
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.heartbeat_expires_at <= now() AND (workflow_runs.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'end_overdue_runs'
))
ORDER BY workflow_runs.heartbeat_expires_at
LIMIT %(most)s::INTEGER;

-- run_ends._END_PAST_DEADLINE
WITH due AS (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.status AS from_status
    FROM workflow_runs
    WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_runs.deadline_at <= now() AND
        workflow_runs.status IN ('pending', 'running') AND workflow_runs.workflow_id IS NULL
    ORDER BY workflow_runs.workflow_run_id
    FOR NO KEY UPDATE SKIP LOCKED
), run AS (
    UPDATE workflow_runs
    SET status=CAST(%(param_4)s::VARCHAR AS TEXT), reason=CAST(%(param_5)s::VARCHAR AS TEXT),
        error=json_build_object(CAST(%(param_6)s::VARCHAR AS TEXT), CAST(%(param_7)s::VARCHAR AS TEXT),
        CAST(%(param_8)s::VARCHAR AS TEXT), concat(CAST(%(param_9)s::VARCHAR AS TEXT))),
        revision=(workflow_runs.revision + %(revision_1)s::BIGINT), cancel_due_at=%(param_10)s::TIMESTAMP WITH TIME
        ZONE, paused_at=%(param_11)s::TIMESTAMP WITH TIME ZONE, heartbeat_expires_at=%(param_12)s::TIMESTAMP WITH TIME
        ZONE, completed_at=greatest(now(), workflow_runs.started_at, workflow_runs.updated_at),
        updated_at=greatest(now(), workflow_runs.started_at, workflow_runs.updated_at)
    WHERE workflow_runs.workflow_run_id = ANY (array((
        SELECT due.workflow_run_id
        FROM due
    )))
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt, workflow_runs.completed_at AS
        at
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, run.at AS at,
        CAST(%(param_1)s::VARCHAR AS TEXT) AS anon_1, due.from_status AS from_status, CAST(%(param_2)s::VARCHAR AS TEXT)
        AS anon_2, CAST(%(param_3)s::VARCHAR AS TEXT) AS anon_3, CAST(NULL AS TEXT) AS anon_4
    FROM run
    JOIN due ON due.workflow_run_id = run.workflow_run_id
    WHERE due.from_status IS DISTINCT FROM run.status OR CAST(%(param_1)s::VARCHAR AS TEXT) != %(param_13)s::VARCHAR
    ORDER BY run.workflow_run_id
)
SELECT run.workflow_run_id
FROM run;

-- run_ends._END_LOST
WITH due AS (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.status AS from_status
    FROM workflow_runs
    WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_runs.heartbeat_expires_at <= now()
    ORDER BY workflow_runs.workflow_run_id
    FOR NO KEY UPDATE SKIP LOCKED
), run AS (
    UPDATE workflow_runs
    SET status=CAST(%(param_4)s::VARCHAR AS TEXT), reason=CAST(%(param_5)s::VARCHAR AS TEXT),
        error=json_build_object(CAST(%(param_6)s::VARCHAR AS TEXT), CAST(%(param_7)s::VARCHAR AS TEXT),
        CAST(%(param_8)s::VARCHAR AS TEXT), concat(CAST(%(param_9)s::VARCHAR AS TEXT),
        CAST(workflow_runs.heartbeat_seconds AS TEXT), CAST(%(param_10)s::VARCHAR AS TEXT))),
        revision=(workflow_runs.revision + %(revision_1)s::BIGINT), cancel_due_at=%(param_11)s::TIMESTAMP WITH TIME
        ZONE, paused_at=%(param_12)s::TIMESTAMP WITH TIME ZONE, heartbeat_expires_at=%(param_13)s::TIMESTAMP WITH TIME
        ZONE, completed_at=greatest(now(), workflow_runs.started_at, workflow_runs.updated_at),
        updated_at=greatest(now(), workflow_runs.started_at, workflow_runs.updated_at)
    WHERE workflow_runs.workflow_run_id = ANY (array((
        SELECT due.workflow_run_id
        FROM due
    )))
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt, workflow_runs.completed_at AS
        at
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, run.at AS at,
        CAST(%(param_1)s::VARCHAR AS TEXT) AS anon_1, due.from_status AS from_status, CAST(%(param_2)s::VARCHAR AS TEXT)
        AS anon_2, CAST(%(param_3)s::VARCHAR AS TEXT) AS anon_3, CAST(NULL AS TEXT) AS anon_4
    FROM run
    JOIN due ON due.workflow_run_id = run.workflow_run_id
    WHERE due.from_status IS DISTINCT FROM run.status OR CAST(%(param_1)s::VARCHAR AS TEXT) != %(param_14)s::VARCHAR
    ORDER BY run.workflow_run_id
)
SELECT run.workflow_run_id
FROM run;

-- run_ends._FIND_CANCELLED
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.cancel_due_at IS NOT NULL AND workflow_runs.workflow_id IS NULL AND (workflow_runs.cancel_due_at <=
    now() OR workflow_runs.heartbeat_expires_at IS NULL AND NOT (EXISTS (
    SELECT 1
    FROM tasks
    WHERE tasks.workflow_run_id = workflow_runs.workflow_run_id AND tasks.status = 'running'
))) AND (workflow_runs.workflow_run_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'finish_cancelled_runs'
))
ORDER BY workflow_runs.cancel_due_at
LIMIT %(most)s::INTEGER;

-- run_ends._LOCK_CANCELLED
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_runs.cancel_due_at IS NOT NULL AND
    workflow_runs.workflow_id IS NULL AND (workflow_runs.cancel_due_at <= now() OR workflow_runs.heartbeat_expires_at IS
    NULL AND NOT (EXISTS (
    SELECT 1
    FROM tasks
    WHERE tasks.workflow_run_id = workflow_runs.workflow_run_id AND tasks.status = 'running'
)))
ORDER BY workflow_runs.workflow_run_id
FOR NO KEY UPDATE SKIP LOCKED;

-- run_ends._GIVE_UP
WITH due AS (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.status AS from_status
    FROM workflow_runs
    WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]) AND workflow_runs.completed_at IS NULL
    ORDER BY workflow_runs.workflow_run_id
    FOR NO KEY UPDATE SKIP LOCKED
), run AS (
    UPDATE workflow_runs
    SET status=CASE WHEN (workflow_runs.cancel_requested_at IS NOT NULL) THEN CAST(%(param_3)s::VARCHAR AS TEXT) ELSE
        CAST(%(param_4)s::VARCHAR AS TEXT) END, reason=CASE WHEN (workflow_runs.cancel_requested_at IS NOT NULL) THEN
        CAST(%(param_5)s::VARCHAR AS TEXT) ELSE CAST(NULL AS TEXT) END, error=%(error)s::JSON,
        revision=(workflow_runs.revision + %(revision_1)s::BIGINT), cancel_due_at=%(param_6)s::TIMESTAMP WITH TIME ZONE,
        paused_at=%(param_7)s::TIMESTAMP WITH TIME ZONE, heartbeat_expires_at=%(param_8)s::TIMESTAMP WITH TIME ZONE,
        completed_at=greatest(now(), workflow_runs.started_at, workflow_runs.updated_at), updated_at=greatest(now(),
        workflow_runs.started_at, workflow_runs.updated_at)
    WHERE workflow_runs.workflow_run_id = ANY (array((
        SELECT due.workflow_run_id
        FROM due
    )))
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt, workflow_runs.completed_at AS
        at
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, run.at AS at,
        CAST(%(param_1)s::VARCHAR AS TEXT) AS anon_1, due.from_status AS from_status, CAST(%(param_2)s::VARCHAR AS TEXT)
        AS anon_2, %(why)s::VARCHAR AS anon_3, CAST(NULL AS TEXT) AS anon_4
    FROM run
    JOIN due ON due.workflow_run_id = run.workflow_run_id
    WHERE due.from_status IS DISTINCT FROM run.status OR CAST(%(param_1)s::VARCHAR AS TEXT) != %(param_9)s::VARCHAR
    ORDER BY run.workflow_run_id
)
SELECT run.workflow_run_id
FROM run;

-- run_ends._END_STEPS
UPDATE workflow_steps
SET status=CASE WHEN (workflow_steps.completed_at IS NOT NULL) THEN workflow_steps.status WHEN (workflow_steps.status =
    CAST(%(param_1)s::VARCHAR AS TEXT)) THEN CAST(%(param_2)s::VARCHAR AS TEXT) ELSE CAST(%(param_3)s::VARCHAR AS TEXT)
    END, due_at=%(due_at)s::TIMESTAMP WITH TIME ZONE, awaits=%(awaits)s::VARCHAR,
    completed_at=coalesce(workflow_steps.completed_at, now())
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND (workflow_steps.completed_at IS NULL OR
    workflow_steps.due_at IS NOT NULL);

-- run_ends._END_EXECUTION
UPDATE workflow_executions
SET deadline_at=%(deadline_at)s::TIMESTAMP WITH TIME ZONE
WHERE workflow_executions.workflow_run_id = %(of_run)s::UUID;

-- run_ends._GET_PARENT
SELECT workflow_runs.parent_workflow_run_id AS workflow_run_id, workflow_executions.parent_step AS step,
    workflow_executions.parent_child AS child, workflow_runs.status
FROM workflow_runs
JOIN workflow_executions ON workflow_executions.workflow_run_id = workflow_runs.workflow_run_id
WHERE workflow_runs.workflow_run_id = %(of_run)s::UUID AND workflow_executions.parent_step IS NOT NULL;

-- run_heartbeats._BEAT
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.report AS report, row.report_clears AS report_clears
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, report JSONB, report_clears
        BOOLEAN)
), ticking AS (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id
    FROM workflow_runs, item
    WHERE workflow_runs.workflow_run_id = item.workflow_run_id AND (workflow_runs.heartbeat_expires_at IS NOT NULL OR
        item.report_clears IS NOT NULL AND workflow_runs.heartbeat_seconds IS NOT NULL)
    ORDER BY workflow_runs.workflow_run_id
    FOR NO KEY UPDATE OF workflow_runs
)
UPDATE workflow_runs
SET reported_progress=CASE WHEN (item.report_clears IS NOT NULL AND CAST(workflow_runs.reported_progress AS JSONB) IS
    DISTINCT FROM nullif(CASE WHEN coalesce(item.report_clears, %(coalesce_1)s) THEN '{"done": null, "total": null,
    "unit": null, "message": null}'::jsonb ELSE coalesce(CAST(workflow_runs.reported_progress AS JSONB), '{"done": null,
    "total": null, "unit": null, "message": null}'::jsonb) END || item.report, '{"done": null, "total": null, "unit":
    null, "message": null}'::jsonb)) THEN CAST(nullif(CASE WHEN coalesce(item.report_clears, %(coalesce_1)s) THEN
    '{"done": null, "total": null, "unit": null, "message": null}'::jsonb ELSE
    coalesce(CAST(workflow_runs.reported_progress AS JSONB), '{"done": null, "total": null, "unit": null, "message":
    null}'::jsonb) END || item.report, '{"done": null, "total": null, "unit": null, "message": null}'::jsonb) AS JSON)
    ELSE workflow_runs.reported_progress END, revision=CASE WHEN (item.report_clears IS NOT NULL AND
    CAST(workflow_runs.reported_progress AS JSONB) IS DISTINCT FROM nullif(CASE WHEN coalesce(item.report_clears,
    %(coalesce_1)s) THEN '{"done": null, "total": null, "unit": null, "message": null}'::jsonb ELSE
    coalesce(CAST(workflow_runs.reported_progress AS JSONB), '{"done": null, "total": null, "unit": null, "message":
    null}'::jsonb) END || item.report, '{"done": null, "total": null, "unit": null, "message": null}'::jsonb)) THEN
    workflow_runs.revision + %(revision_1)s::BIGINT ELSE workflow_runs.revision END, heartbeat_expires_at=CASE WHEN
    (workflow_runs.heartbeat_expires_at IS NOT NULL) THEN clock_timestamp() + workflow_runs.heartbeat_seconds *
    CAST(%(param_1)s::INTERVAL AS INTERVAL) END, updated_at=CASE WHEN (item.report_clears IS NOT NULL AND
    CAST(workflow_runs.reported_progress AS JSONB) IS DISTINCT FROM nullif(CASE WHEN coalesce(item.report_clears,
    %(coalesce_1)s) THEN '{"done": null, "total": null, "unit": null, "message": null}'::jsonb ELSE
    coalesce(CAST(workflow_runs.reported_progress AS JSONB), '{"done": null, "total": null, "unit": null, "message":
    null}'::jsonb) END || item.report, '{"done": null, "total": null, "unit": null, "message": null}'::jsonb)) THEN
    greatest(clock_timestamp(), workflow_runs.updated_at) ELSE workflow_runs.updated_at END
FROM ticking, item
WHERE workflow_runs.workflow_run_id = ticking.workflow_run_id AND workflow_runs.workflow_run_id = item.workflow_run_id
RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.cancel_requested_at,
    workflow_runs.heartbeat_seconds, workflow_runs.heartbeat_expires_at;

-- schedules._NOW
SELECT now() AS now_1;

-- schedules._INSERT
INSERT INTO schedules (schedule_id, workflow_name, workflow_version, cron, timezone, start_at, end_at, catchup,
    max_active_runs, overlap, paused, queue, inputs, tags, created_by, workflow_id, next_fire_at)
VALUES (%(new_schedule_id)s::UUID, %(new_workflow_name)s::VARCHAR, %(new_workflow_version)s::VARCHAR,
    %(new_cron)s::VARCHAR, %(new_timezone)s::VARCHAR, %(new_start_at)s::TIMESTAMP WITH TIME ZONE,
    %(new_end_at)s::TIMESTAMP WITH TIME ZONE, %(new_catchup)s, %(new_max_active_runs)s::INTEGER,
    %(new_overlap)s::VARCHAR, %(new_paused)s, %(new_queue)s::VARCHAR, %(new_inputs)s::JSON, %(new_tags)s::JSON,
    %(new_created_by)s::VARCHAR, %(new_workflow_id)s::UUID, %(new_next_fire_at)s::TIMESTAMP WITH TIME ZONE)
RETURNING schedules.schedule_id, schedules.workflow_name, schedules.workflow_version, schedules.cron,
    schedules.timezone, schedules.start_at, schedules.end_at, schedules.catchup, schedules.max_active_runs,
    schedules.overlap, schedules.paused, schedules.paused_reason, schedules.queue, schedules.inputs, schedules.tags,
    schedules.created_by, schedules.workflow_id, schedules.next_fire_at, schedules.last_fire_at, schedules.created_at,
    schedules.updated_at, schedules.revision, now() AS now;

-- schedules._GET
SELECT schedules.schedule_id, schedules.workflow_name, schedules.workflow_version, schedules.cron, schedules.timezone,
    schedules.start_at, schedules.end_at, schedules.catchup, schedules.max_active_runs, schedules.overlap,
    schedules.paused, schedules.paused_reason, schedules.queue, schedules.inputs, schedules.tags, schedules.created_by,
    schedules.workflow_id, schedules.next_fire_at, schedules.last_fire_at, schedules.created_at, schedules.updated_at,
    schedules.revision, now() AS now
FROM schedules
WHERE schedules.schedule_id = %(of_schedule)s::UUID;

-- schedules._LOCK
SELECT schedules.schedule_id, schedules.workflow_name, schedules.workflow_version, schedules.cron, schedules.timezone,
    schedules.start_at, schedules.end_at, schedules.catchup, schedules.max_active_runs, schedules.overlap,
    schedules.paused, schedules.paused_reason, schedules.queue, schedules.inputs, schedules.tags, schedules.created_by,
    schedules.workflow_id, schedules.next_fire_at, schedules.last_fire_at, schedules.created_at, schedules.updated_at,
    schedules.revision, now() AS now
FROM schedules
WHERE schedules.schedule_id = ANY (%(ids)s::UUID[])
ORDER BY schedules.schedule_id
FOR UPDATE;

-- schedules._LOCK_NAMES
SELECT pg_advisory_xact_lock(%(pg_advisory_xact_lock_2)s::INTEGER, hashtext(name)) AS pg_advisory_xact_lock_1
FROM unnest(%(names)s::TEXT[]) AS name;

-- schedules._LOCK_OF_DEFINITIONS
SELECT schedules.schedule_id, schedules.workflow_name, schedules.workflow_version, schedules.cron, schedules.timezone,
    schedules.start_at, schedules.end_at, schedules.catchup, schedules.max_active_runs, schedules.overlap,
    schedules.paused, schedules.paused_reason, schedules.queue, schedules.inputs, schedules.tags, schedules.created_by,
    schedules.workflow_id, schedules.next_fire_at, schedules.last_fire_at, schedules.created_at, schedules.updated_at,
    schedules.revision, now() AS now
FROM schedules
WHERE schedules.workflow_name = ANY (%(names)s::TEXT[]) AND schedules.workflow_id IS NOT NULL
ORDER BY schedules.schedule_id
FOR UPDATE;

-- schedules._LOCK_OF_VERSION
SELECT schedules.schedule_id
FROM schedules
WHERE schedules.workflow_id = %(of_workflow)s::UUID
ORDER BY schedules.schedule_id
FOR UPDATE;

-- schedules._UPDATE
UPDATE schedules
SET workflow_version=%(new_workflow_version)s::VARCHAR, cron=%(new_cron)s::VARCHAR, timezone=%(new_timezone)s::VARCHAR,
    start_at=%(new_start_at)s::TIMESTAMP WITH TIME ZONE, end_at=%(new_end_at)s::TIMESTAMP WITH TIME ZONE,
    catchup=%(new_catchup)s, max_active_runs=%(new_max_active_runs)s::INTEGER, overlap=%(new_overlap)s::VARCHAR,
    paused=%(new_paused)s, paused_reason=CASE WHEN %(new_paused)s THEN schedules.paused_reason END,
    queue=%(new_queue)s::VARCHAR, inputs=%(new_inputs)s::JSON, tags=%(new_tags)s::JSON,
    created_by=%(new_created_by)s::VARCHAR, workflow_id=%(new_workflow_id)s::UUID,
    next_fire_at=%(new_next_fire_at)s::TIMESTAMP WITH TIME ZONE, updated_at=now(), revision=(schedules.revision +
    %(revision_1)s::BIGINT)
WHERE schedules.schedule_id = %(of_schedule)s::UUID
RETURNING schedules.schedule_id, schedules.workflow_name, schedules.workflow_version, schedules.cron,
    schedules.timezone, schedules.start_at, schedules.end_at, schedules.catchup, schedules.max_active_runs,
    schedules.overlap, schedules.paused, schedules.paused_reason, schedules.queue, schedules.inputs, schedules.tags,
    schedules.created_by, schedules.workflow_id, schedules.next_fire_at, schedules.last_fire_at, schedules.created_at,
    schedules.updated_at, schedules.revision, now() AS now;

-- schedules._DELETE
DELETE
FROM schedules
WHERE schedules.schedule_id = %(of_schedule)s::UUID;

-- schedules._PAUSE
UPDATE schedules
SET paused=%(paused)s, paused_reason=%(why)s::VARCHAR, updated_at=now(), revision=(schedules.revision +
    %(revision_1)s::BIGINT)
WHERE schedules.schedule_id = %(of_schedule)s::UUID AND schedules.paused IS false;

-- schedules._FIND_DUE
SELECT schedules.schedule_id
FROM schedules
WHERE schedules.next_fire_at <= now() AND schedules.paused IS false AND (schedules.overlap = 'skip' OR (
    SELECT count(*) AS count_1
    FROM workflow_runs
    WHERE workflow_runs.schedule_id = schedules.schedule_id AND workflow_runs.status IN ('pending', 'running')
) < schedules.max_active_runs) AND (schedules.schedule_id NOT IN (
    SELECT CAST(set_aside_rows.row_key AS UUID) AS row_key
    FROM set_aside_rows
    WHERE set_aside_rows.chore = 'fire_schedules'
))
ORDER BY schedules.next_fire_at, schedules.schedule_id
LIMIT %(most)s
FOR UPDATE OF schedules SKIP LOCKED;

-- schedules._LOCK_DUE
SELECT schedules.schedule_id, schedules.workflow_name, schedules.workflow_version, schedules.cron, schedules.timezone,
    schedules.start_at, schedules.end_at, schedules.catchup, schedules.max_active_runs, schedules.overlap,
    schedules.paused, schedules.paused_reason, schedules.queue, schedules.inputs, schedules.tags, schedules.created_by,
    schedules.workflow_id, schedules.next_fire_at, schedules.last_fire_at, schedules.created_at, schedules.updated_at,
    schedules.revision, now() AS now
FROM schedules
WHERE schedules.schedule_id = ANY (%(ids)s::UUID[]) AND schedules.next_fire_at <= now() AND schedules.paused IS false
    AND (schedules.overlap = 'skip' OR (
    SELECT count(*) AS count_1
    FROM workflow_runs
    WHERE workflow_runs.schedule_id = schedules.schedule_id AND workflow_runs.status IN ('pending', 'running')
) < schedules.max_active_runs)
ORDER BY schedules.schedule_id
FOR UPDATE OF schedules;

-- schedules._COUNT_OPEN_RUNS
SELECT workflow_runs.schedule_id, count(*) AS amount
FROM workflow_runs
WHERE workflow_runs.schedule_id = ANY (%(ids)s::UUID[]) AND workflow_runs.status IN ('pending', 'running')
GROUP BY workflow_runs.schedule_id;

-- schedules._MOVE
WITH item AS (
    SELECT row.schedule_id AS schedule_id, row.next_fire_at AS next_fire_at, row.last_fire_at AS last_fire_at
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(schedule_id UUID, next_fire_at TIMESTAMP WITH TIME
        ZONE, last_fire_at TIMESTAMP WITH TIME ZONE)
)
UPDATE schedules
SET next_fire_at=item.next_fire_at, last_fire_at=item.last_fire_at
FROM item
WHERE schedules.schedule_id = item.schedule_id;

-- schedules._RAISE_LAST_FIRINGS
UPDATE schedules
SET last_fire_at=greatest(schedules.last_fire_at, (
    SELECT max(schedule_slots.fire_at) AS max_1
    FROM schedule_slots
    WHERE schedule_slots.schedule_id = schedules.schedule_id AND schedule_slots.outcome = 'fired'
))
WHERE schedules.schedule_id = ANY (%(ids)s::UUID[]);

-- schedules._INSERT_SLOTS
WITH item AS (
    SELECT row.schedule_id AS schedule_id, row.fire_at AS fire_at, row.workflow_run_id AS workflow_run_id, row.outcome
        AS outcome
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(schedule_id UUID, fire_at TIMESTAMP WITH TIME ZONE,
        workflow_run_id UUID, outcome TEXT)
)
INSERT INTO schedule_slots (schedule_id, fire_at, workflow_run_id, outcome)
SELECT item.schedule_id, item.fire_at, item.workflow_run_id, item.outcome
FROM item;

-- schedules._MISS_SLOTS
INSERT INTO schedule_slots (schedule_id, fire_at, outcome)
SELECT %(of_schedule)s::UUID AS anon_1, unnest(%(firings)s::TIMESTAMP WITH TIME ZONE[]) AS unnest_1, 'missed'
ON CONFLICT DO NOTHING;

-- schedules._REFIRE_SLOTS
WITH item AS (
    SELECT row.schedule_id AS schedule_id, row.fire_at AS fire_at, row.workflow_run_id AS workflow_run_id, row.outcome
        AS outcome
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(schedule_id UUID, fire_at TIMESTAMP WITH TIME ZONE,
        workflow_run_id UUID, outcome TEXT)
)
INSERT INTO schedule_slots (schedule_id, fire_at, workflow_run_id, outcome)
SELECT item.schedule_id, item.fire_at, item.workflow_run_id, item.outcome
FROM item
ON CONFLICT (schedule_id, fire_at) DO UPDATE SET workflow_run_id = excluded.workflow_run_id, outcome = excluded.outcome,
    at = now();

-- schedules._LIST_DEALT
WITH item AS (
    SELECT row.schedule_id AS schedule_id, row.fire_at AS fire_at
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(schedule_id UUID, fire_at TIMESTAMP WITH TIME ZONE)
)
SELECT schedule_slots.schedule_id, schedule_slots.fire_at, schedule_slots.workflow_run_id
FROM schedule_slots
JOIN item ON schedule_slots.schedule_id = item.schedule_id AND schedule_slots.fire_at = item.fire_at;

-- schedules._NEWEST_SLOT
SELECT max(schedule_slots.fire_at) AS max_1
FROM schedule_slots
WHERE schedule_slots.schedule_id = %(of_schedule)s::UUID;

-- schedules._LIST_SLOTS
SELECT schedule_slots.schedule_id, schedule_slots.fire_at, schedule_slots.workflow_run_id, schedule_slots.outcome,
    schedule_slots.at
FROM schedule_slots
WHERE schedule_slots.schedule_id = %(of_schedule)s::UUID AND schedule_slots.fire_at < %(before)s::TIMESTAMP WITH TIME
    ZONE
ORDER BY schedule_slots.fire_at DESC
LIMIT %(most)s;

-- set_aside_rows._SET_ASIDE
INSERT INTO set_aside_rows (chore, row_key, error, retry_at)
VALUES (%(chore)s::VARCHAR, %(row_key)s::VARCHAR, %(error)s::VARCHAR, (now() + CAST(%(param_1)s::INTERVAL AS INTERVAL)))
ON CONFLICT (chore, row_key) DO UPDATE SET failures = (set_aside_rows.failures + %(failures_1)s::INTEGER), error =
    excluded.error, retry_at = (now() + CAST(least(power(%(power_1)s, least(set_aside_rows.failures +
    %(failures_1)s::INTEGER, %(least_1)s::INTEGER) - %(least_2)s::INTEGER), %(least_3)s) AS FLOAT) *
    CAST(%(param_2)s::INTERVAL AS INTERVAL))
RETURNING set_aside_rows.failures;

-- set_aside_rows._FORGET
DELETE
FROM set_aside_rows
WHERE set_aside_rows.chore = %(chore)s::VARCHAR AND set_aside_rows.row_key = %(row_key)s::VARCHAR;

-- set_aside_rows._TAKE_DUE
UPDATE set_aside_rows
SET retry_at=(now() + CAST(least(power(%(power_1)s, least(set_aside_rows.failures + %(failures_1)s::INTEGER,
    %(least_1)s::INTEGER) - %(least_2)s::INTEGER), %(least_3)s) AS FLOAT) * CAST(%(param_1)s::INTERVAL AS INTERVAL))
WHERE (set_aside_rows.chore, set_aside_rows.row_key) IN (
    SELECT set_aside_rows.chore, set_aside_rows.row_key
    FROM set_aside_rows
    WHERE set_aside_rows.retry_at <= now()
    ORDER BY set_aside_rows.retry_at
    LIMIT %(param_2)s::INTEGER
    FOR UPDATE SKIP LOCKED
)
RETURNING set_aside_rows.chore, set_aside_rows.row_key;

-- set_aside_rows._COUNT
SELECT set_aside_rows.chore, count(*) AS amount
FROM set_aside_rows
GROUP BY set_aside_rows.chore;

-- set_aside_rows._LIST_KEYS
SELECT set_aside_rows.row_key
FROM set_aside_rows
WHERE set_aside_rows.chore = %(chore)s::VARCHAR;

-- steps._LIST_WARNINGS
SELECT workflow_warnings.warning_id, workflow_warnings.workflow_run_id, workflow_warnings.path, workflow_warnings.code,
    workflow_warnings.expression, workflow_warnings.at
FROM workflow_warnings
WHERE workflow_warnings.workflow_run_id = %(of_run)s::UUID AND workflow_warnings.warning_id > %(after)s::BIGINT
ORDER BY workflow_warnings.warning_id
LIMIT %(most)s::INTEGER;

-- steps._COPY_STEPS
INSERT INTO workflow_steps (workflow_run_id, path, region, scope, operator_type, status, attempt, task_id, result,
    error, facts, due_at, awaits, queue, started_at, completed_at)
SELECT %(new_run)s::UUID AS anon_1, workflow_steps.path, workflow_steps.region, workflow_steps.scope,
    workflow_steps.operator_type, workflow_steps.status, workflow_steps.attempt, workflow_steps.task_id,
    workflow_steps.result, workflow_steps.error, workflow_steps.facts, workflow_steps.due_at, workflow_steps.awaits,
    workflow_steps.queue, workflow_steps.started_at, workflow_steps.completed_at
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND split_part(replace(workflow_steps.path,
    %(replace_1)s::VARCHAR, %(replace_2)s::VARCHAR), %(split_part_1)s::VARCHAR, %(split_part_2)s::INTEGER) = ANY
    (%(kept)s::TEXT[])
ORDER BY workflow_steps.sequence;

-- steps._COPY_FRAMES
INSERT INTO workflow_frames (workflow_run_id, path, variables, names, value)
SELECT %(new_run)s::UUID AS anon_1, workflow_frames.path, workflow_frames.variables, workflow_frames.names,
    workflow_frames.value
FROM workflow_frames
WHERE workflow_frames.workflow_run_id = %(of_run)s::UUID AND (split_part(replace(workflow_frames.path,
    %(replace_1)s::VARCHAR, %(replace_2)s::VARCHAR), %(split_part_1)s::VARCHAR, %(split_part_2)s::INTEGER) = ANY
    (%(kept)s::TEXT[]) OR workflow_frames.path = %(path_1)s::VARCHAR);

-- task_heartbeats._BEAT
WITH item AS (
    SELECT row.task_id AS task_id, row.lease_token AS lease_token, row.progress AS progress, row.lease AS lease,
        row.has_progress AS has_progress, row.report AS report, row.report_clears AS report_clears
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, lease_token UUID, progress JSON, lease
        FLOAT, has_progress BOOLEAN, report JSONB, report_clears BOOLEAN)
), locked AS (
    SELECT tasks.task_id AS task_id, tasks.lease_token AS lease_token
    FROM tasks, item
    WHERE tasks.task_id = item.task_id AND tasks.lease_token = item.lease_token AND tasks.status = 'running'
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE OF tasks
), held AS (
    SELECT locked.task_id AS task_id, locked.lease_token AS lease_token, clock_timestamp() AS at
    FROM locked
)
UPDATE tasks
SET progress=CASE WHEN item.has_progress THEN item.progress ELSE tasks.progress END, reported_progress=CASE WHEN
    (item.report_clears IS NOT NULL AND CAST(tasks.reported_progress AS JSONB) IS DISTINCT FROM nullif(CASE WHEN
    coalesce(item.report_clears, %(coalesce_1)s) THEN '{"done": null, "total": null, "unit": null, "message":
    null}'::jsonb ELSE coalesce(CAST(tasks.reported_progress AS JSONB), '{"done": null, "total": null, "unit": null,
    "message": null}'::jsonb) END || item.report, '{"done": null, "total": null, "unit": null, "message":
    null}'::jsonb)) THEN CAST(nullif(CASE WHEN coalesce(item.report_clears, %(coalesce_1)s) THEN '{"done": null,
    "total": null, "unit": null, "message": null}'::jsonb ELSE coalesce(CAST(tasks.reported_progress AS JSONB),
    '{"done": null, "total": null, "unit": null, "message": null}'::jsonb) END || item.report, '{"done": null, "total":
    null, "unit": null, "message": null}'::jsonb) AS JSON) ELSE tasks.reported_progress END, lease_expires_at=(held.at +
    coalesce(item.lease, queues.default_lease_seconds) * CAST(%(param_1)s::INTERVAL AS INTERVAL)), updated_at=CASE WHEN
    (item.report_clears IS NOT NULL AND CAST(tasks.reported_progress AS JSONB) IS DISTINCT FROM nullif(CASE WHEN
    coalesce(item.report_clears, %(coalesce_1)s) THEN '{"done": null, "total": null, "unit": null, "message":
    null}'::jsonb ELSE coalesce(CAST(tasks.reported_progress AS JSONB), '{"done": null, "total": null, "unit": null,
    "message": null}'::jsonb) END || item.report, '{"done": null, "total": null, "unit": null, "message": null}'::jsonb)
    OR item.has_progress AND CAST(item.progress AS TEXT) IS DISTINCT FROM CAST(tasks.progress AS TEXT)) THEN
    greatest(held.at, tasks.updated_at) ELSE tasks.updated_at END, revision=CASE WHEN (item.report_clears IS NOT NULL
    AND CAST(tasks.reported_progress AS JSONB) IS DISTINCT FROM nullif(CASE WHEN coalesce(item.report_clears,
    %(coalesce_1)s) THEN '{"done": null, "total": null, "unit": null, "message": null}'::jsonb ELSE
    coalesce(CAST(tasks.reported_progress AS JSONB), '{"done": null, "total": null, "unit": null, "message":
    null}'::jsonb) END || item.report, '{"done": null, "total": null, "unit": null, "message": null}'::jsonb) OR
    item.has_progress AND CAST(item.progress AS TEXT) IS DISTINCT FROM CAST(tasks.progress AS TEXT)) THEN tasks.revision
    + %(revision_1)s::BIGINT ELSE tasks.revision END
FROM held, queues, item
WHERE tasks.task_id = held.task_id AND tasks.lease_token = held.lease_token AND tasks.queue = queues.queue AND
    held.task_id = item.task_id AND held.lease_token = item.lease_token AND tasks.status = 'running' AND
    tasks.lease_expires_at > held.at
RETURNING tasks.task_id, tasks.lease_expires_at, tasks.cancel_requested_at, tasks.lease_token, tasks.run_id,
    tasks.attempt, held.at AS server_time;

-- tasks._LOCK_KEYS
SELECT pg_advisory_xact_lock(%(pg_advisory_xact_lock_2)s::INTEGER, hash) AS pg_advisory_xact_lock_1
FROM unnest(%(hashes)s::INTEGER[]) AS hash;

-- tasks._INSERT
WITH item AS (
    SELECT row.task_id AS task_id, row.run_id AS run_id, row.queue AS queue, row.task_name AS task_name, row.params AS
        params, row.headers AS headers, row.priority AS priority, row.workflow_run_id AS workflow_run_id,
        row.parent_task_id AS parent_task_id, row.step AS step, row.traceparent AS traceparent, row.max_attempts AS
        max_attempts, row.max_lost AS max_lost, row.retry_strategy AS retry_strategy, row.max_delay_seconds AS
        max_delay_seconds, row.max_duration_seconds AS max_duration_seconds, row.idempotency_key AS idempotency_key,
        row.spec_hash AS spec_hash, row.concurrency_key AS concurrency_key, row.available_at AS available_at,
        row.delay_seconds AS delay_seconds, row.place AS place
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, run_id UUID, queue TEXT, task_name
        TEXT, params JSON, headers JSON, priority INTEGER, workflow_run_id UUID, parent_task_id UUID, step TEXT,
        traceparent TEXT, max_attempts INTEGER, max_lost INTEGER, retry_strategy JSON, max_delay_seconds DOUBLE
        PRECISION, max_duration_seconds DOUBLE PRECISION, idempotency_key TEXT, spec_hash BYTEA, concurrency_key TEXT,
        available_at TIMESTAMP WITH TIME ZONE, delay_seconds FLOAT, place FLOAT)
), made_queue AS (
    INSERT INTO queues (queue)
    SELECT DISTINCT item.queue AS queue
    FROM item
    ORDER BY item.queue
    ON CONFLICT DO NOTHING
), task AS (
    INSERT INTO tasks (task_id, run_id, queue, task_name, params, headers, priority, workflow_run_id, parent_task_id,
        step, traceparent, max_attempts, max_lost, retry_strategy, max_delay_seconds, max_duration_seconds,
        idempotency_key, spec_hash, concurrency_key, status, available_at, ready_at, due_at, limit_at)
    SELECT item.task_id AS task_id, item.run_id AS run_id, item.queue AS queue, item.task_name AS task_name, item.params
        AS params, item.headers AS headers, item.priority AS priority, item.workflow_run_id AS workflow_run_id,
        item.parent_task_id AS parent_task_id, item.step AS step, item.traceparent AS traceparent, item.max_attempts AS
        max_attempts, item.max_lost AS max_lost, item.retry_strategy AS retry_strategy, item.max_delay_seconds AS
        max_delay_seconds, item.max_duration_seconds AS max_duration_seconds, item.idempotency_key AS idempotency_key,
        item.spec_hash AS spec_hash, item.concurrency_key AS concurrency_key, CAST(%(param_1)s::VARCHAR AS TEXT) AS
        anon_1, coalesce(item.available_at, now() + item.delay_seconds * CAST(%(param_2)s::INTERVAL AS INTERVAL), now())
        AS coalesce_1, CASE WHEN (coalesce(item.available_at, now() + item.delay_seconds * CAST(%(param_2)s::INTERVAL AS
        INTERVAL), now()) > now()) THEN NULL ELSE now() END AS anon_2, CASE WHEN (coalesce(item.available_at, now() +
        item.delay_seconds * CAST(%(param_2)s::INTERVAL AS INTERVAL), now()) > now()) THEN coalesce(item.available_at,
        now() + item.delay_seconds * CAST(%(param_2)s::INTERVAL AS INTERVAL), now()) END AS anon_3, CASE WHEN
        (item.max_delay_seconds IS NOT NULL) THEN least(greatest(coalesce(item.available_at, now() + item.delay_seconds
        * CAST(%(param_2)s::INTERVAL AS INTERVAL), now()), now()) + item.max_delay_seconds * CAST(%(param_3)s::INTERVAL
        AS INTERVAL), %(least_1)s::TIMESTAMP WITH TIME ZONE) END AS anon_4
    FROM item
    ORDER BY item.place
    ON CONFLICT (queue, idempotency_key)
    WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING tasks.task_id, tasks.ready_at, tasks.queue
)
SELECT task.task_id, task.ready_at, task.queue
FROM task;

-- tasks._INSERT_ANSWERED
WITH item AS (
    SELECT row.task_id AS task_id, row.run_id AS run_id, row.queue AS queue, row.task_name AS task_name, row.params AS
        params, row.headers AS headers, row.priority AS priority, row.workflow_run_id AS workflow_run_id,
        row.parent_task_id AS parent_task_id, row.step AS step, row.traceparent AS traceparent, row.max_attempts AS
        max_attempts, row.max_lost AS max_lost, row.retry_strategy AS retry_strategy, row.max_delay_seconds AS
        max_delay_seconds, row.max_duration_seconds AS max_duration_seconds, row.idempotency_key AS idempotency_key,
        row.spec_hash AS spec_hash, row.concurrency_key AS concurrency_key, row.available_at AS available_at,
        row.delay_seconds AS delay_seconds, row.place AS place
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, run_id UUID, queue TEXT, task_name
        TEXT, params JSON, headers JSON, priority INTEGER, workflow_run_id UUID, parent_task_id UUID, step TEXT,
        traceparent TEXT, max_attempts INTEGER, max_lost INTEGER, retry_strategy JSON, max_delay_seconds DOUBLE
        PRECISION, max_duration_seconds DOUBLE PRECISION, idempotency_key TEXT, spec_hash BYTEA, concurrency_key TEXT,
        available_at TIMESTAMP WITH TIME ZONE, delay_seconds FLOAT, place FLOAT)
), made_queue AS (
    INSERT INTO queues (queue)
    SELECT DISTINCT item.queue AS queue
    FROM item
    ORDER BY item.queue
    ON CONFLICT DO NOTHING
), key AS (
    SELECT row.scope AS scope, row.body AS body, row.answer AS answer
    FROM json_to_recordset(CAST(%(keys)s::VARCHAR AS JSON)) AS row(scope BYTEA, body BYTEA, answer TEXT)
), answered AS (
    INSERT INTO idempotency_keys (scope, body, answer)
    SELECT key.scope AS scope, key.body AS body, key.answer AS answer
    FROM key
), task AS (
    INSERT INTO tasks (task_id, run_id, queue, task_name, params, headers, priority, workflow_run_id, parent_task_id,
        step, traceparent, max_attempts, max_lost, retry_strategy, max_delay_seconds, max_duration_seconds,
        idempotency_key, spec_hash, concurrency_key, status, available_at, ready_at, due_at, limit_at)
    SELECT item.task_id AS task_id, item.run_id AS run_id, item.queue AS queue, item.task_name AS task_name, item.params
        AS params, item.headers AS headers, item.priority AS priority, item.workflow_run_id AS workflow_run_id,
        item.parent_task_id AS parent_task_id, item.step AS step, item.traceparent AS traceparent, item.max_attempts AS
        max_attempts, item.max_lost AS max_lost, item.retry_strategy AS retry_strategy, item.max_delay_seconds AS
        max_delay_seconds, item.max_duration_seconds AS max_duration_seconds, item.idempotency_key AS idempotency_key,
        item.spec_hash AS spec_hash, item.concurrency_key AS concurrency_key, CAST(%(param_1)s::VARCHAR AS TEXT) AS
        anon_1, coalesce(item.available_at, now() + item.delay_seconds * CAST(%(param_2)s::INTERVAL AS INTERVAL), now())
        AS coalesce_1, CASE WHEN (coalesce(item.available_at, now() + item.delay_seconds * CAST(%(param_2)s::INTERVAL AS
        INTERVAL), now()) > now()) THEN NULL ELSE now() END AS anon_2, CASE WHEN (coalesce(item.available_at, now() +
        item.delay_seconds * CAST(%(param_2)s::INTERVAL AS INTERVAL), now()) > now()) THEN coalesce(item.available_at,
        now() + item.delay_seconds * CAST(%(param_2)s::INTERVAL AS INTERVAL), now()) END AS anon_3, CASE WHEN
        (item.max_delay_seconds IS NOT NULL) THEN least(greatest(coalesce(item.available_at, now() + item.delay_seconds
        * CAST(%(param_2)s::INTERVAL AS INTERVAL), now()), now()) + item.max_delay_seconds * CAST(%(param_3)s::INTERVAL
        AS INTERVAL), %(least_1)s::TIMESTAMP WITH TIME ZONE) END AS anon_4
    FROM item
    ORDER BY item.place
    ON CONFLICT (queue, idempotency_key)
    WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING tasks.task_id, tasks.ready_at, tasks.queue
)
SELECT task.queue, count(task.ready_at) AS ready
FROM task
GROUP BY task.queue;

-- tasks._GET
SELECT tasks.task_id, tasks.queue, tasks.task_name, tasks.params, tasks.headers, tasks.priority, tasks.workflow_run_id,
    tasks.parent_task_id, tasks.step, tasks.traceparent, tasks.max_attempts, tasks.max_lost, tasks.lost_count,
    tasks.forgiven_count, tasks.retry_strategy, tasks.max_delay_seconds, tasks.max_duration_seconds,
    tasks.idempotency_key, tasks.concurrency_key, tasks.status, tasks.reason, tasks.run_id, tasks.attempt, tasks.result,
    tasks.error, tasks.progress, tasks.reported_progress, tasks.available_at, tasks.ready_at, tasks.due_at,
    tasks.limit_at, tasks.wake_at, tasks.wake_event, tasks.event_payload, tasks.wait_step, tasks.wait_all,
    tasks.claimed_by, tasks.lease_token, tasks.lease_expires_at, tasks.final_body, tasks.created_at,
    tasks.first_started_at, tasks.started_at, tasks.completed_at, tasks.cancelled_at, tasks.cancel_requested_at,
    tasks.updated_at, tasks.revision, clock_timestamp() AS now
FROM tasks
WHERE tasks.task_id = ANY (%(ids)s::UUID[]);

-- tasks._GET_BY_KEY
SELECT tasks.queue, tasks.idempotency_key, tasks.task_id, tasks.run_id, tasks.workflow_run_id, tasks.attempt,
    tasks.spec_hash
FROM tasks
JOIN (
    SELECT unnest(%(queues)s::TEXT[]) AS queue, unnest(%(keys)s::TEXT[]) AS idempotency_key
) AS wanted ON tasks.queue = wanted.queue AND tasks.idempotency_key = wanted.idempotency_key;

-- tasks._LOCK
WITH locked AS (
    SELECT tasks.task_id AS task_id, tasks.queue AS queue, tasks.task_name AS task_name, tasks.params AS params,
        tasks.headers AS headers, tasks.priority AS priority, tasks.workflow_run_id AS workflow_run_id,
        tasks.parent_task_id AS parent_task_id, tasks.step AS step, tasks.traceparent AS traceparent, tasks.max_attempts
        AS max_attempts, tasks.max_lost AS max_lost, tasks.lost_count AS lost_count, tasks.forgiven_count AS
        forgiven_count, tasks.retry_strategy AS retry_strategy, tasks.max_delay_seconds AS max_delay_seconds,
        tasks.max_duration_seconds AS max_duration_seconds, tasks.idempotency_key AS idempotency_key,
        tasks.concurrency_key AS concurrency_key, tasks.status AS status, tasks.reason AS reason, tasks.run_id AS
        run_id, tasks.attempt AS attempt, tasks.result AS result, tasks.error AS error, tasks.progress AS progress,
        tasks.reported_progress AS reported_progress, tasks.available_at AS available_at, tasks.ready_at AS ready_at,
        tasks.due_at AS due_at, tasks.limit_at AS limit_at, tasks.wake_at AS wake_at, tasks.wake_event AS wake_event,
        tasks.event_payload AS event_payload, tasks.wait_step AS wait_step, tasks.wait_all AS wait_all, tasks.claimed_by
        AS claimed_by, tasks.lease_token AS lease_token, tasks.lease_expires_at AS lease_expires_at, tasks.final_body AS
        final_body, tasks.created_at AS created_at, tasks.first_started_at AS first_started_at, tasks.started_at AS
        started_at, tasks.completed_at AS completed_at, tasks.cancelled_at AS cancelled_at, tasks.cancel_requested_at AS
        cancel_requested_at, tasks.updated_at AS updated_at, tasks.revision AS revision
    FROM tasks
    WHERE tasks.task_id = ANY (%(ids)s::UUID[])
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
)
SELECT locked.task_id, locked.queue, locked.task_name, locked.params, locked.headers, locked.priority,
    locked.workflow_run_id, locked.parent_task_id, locked.step, locked.traceparent, locked.max_attempts,
    locked.max_lost, locked.lost_count, locked.forgiven_count, locked.retry_strategy, locked.max_delay_seconds,
    locked.max_duration_seconds, locked.idempotency_key, locked.concurrency_key, locked.status, locked.reason,
    locked.run_id, locked.attempt, locked.result, locked.error, locked.progress, locked.reported_progress,
    locked.available_at, locked.ready_at, locked.due_at, locked.limit_at, locked.wake_at, locked.wake_event,
    locked.event_payload, locked.wait_step, locked.wait_all, locked.claimed_by, locked.lease_token,
    locked.lease_expires_at, locked.final_body, locked.created_at, locked.first_started_at, locked.started_at,
    locked.completed_at, locked.cancelled_at, locked.cancel_requested_at, locked.updated_at, locked.revision,
    clock_timestamp() AS now
FROM locked;

-- tasks._LOCK_OF_RUNS
WITH locked AS (
    SELECT tasks.task_id AS task_id, tasks.queue AS queue, tasks.task_name AS task_name, tasks.params AS params,
        tasks.headers AS headers, tasks.priority AS priority, tasks.workflow_run_id AS workflow_run_id,
        tasks.parent_task_id AS parent_task_id, tasks.step AS step, tasks.traceparent AS traceparent, tasks.max_attempts
        AS max_attempts, tasks.max_lost AS max_lost, tasks.lost_count AS lost_count, tasks.forgiven_count AS
        forgiven_count, tasks.retry_strategy AS retry_strategy, tasks.max_delay_seconds AS max_delay_seconds,
        tasks.max_duration_seconds AS max_duration_seconds, tasks.idempotency_key AS idempotency_key,
        tasks.concurrency_key AS concurrency_key, tasks.status AS status, tasks.reason AS reason, tasks.run_id AS
        run_id, tasks.attempt AS attempt, tasks.result AS result, tasks.error AS error, tasks.progress AS progress,
        tasks.reported_progress AS reported_progress, tasks.available_at AS available_at, tasks.ready_at AS ready_at,
        tasks.due_at AS due_at, tasks.limit_at AS limit_at, tasks.wake_at AS wake_at, tasks.wake_event AS wake_event,
        tasks.event_payload AS event_payload, tasks.wait_step AS wait_step, tasks.wait_all AS wait_all, tasks.claimed_by
        AS claimed_by, tasks.lease_token AS lease_token, tasks.lease_expires_at AS lease_expires_at, tasks.final_body AS
        final_body, tasks.created_at AS created_at, tasks.first_started_at AS first_started_at, tasks.started_at AS
        started_at, tasks.completed_at AS completed_at, tasks.cancelled_at AS cancelled_at, tasks.cancel_requested_at AS
        cancel_requested_at, tasks.updated_at AS updated_at, tasks.revision AS revision
    FROM tasks
    WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[]) AND tasks.status IN ('pending', 'running', 'sleeping') AND
        (%(running_too)s OR tasks.status != 'running')
    ORDER BY tasks.task_id
    LIMIT %(most)s::INTEGER
    FOR NO KEY UPDATE
)
SELECT locked.task_id, locked.queue, locked.task_name, locked.params, locked.headers, locked.priority,
    locked.workflow_run_id, locked.parent_task_id, locked.step, locked.traceparent, locked.max_attempts,
    locked.max_lost, locked.lost_count, locked.forgiven_count, locked.retry_strategy, locked.max_delay_seconds,
    locked.max_duration_seconds, locked.idempotency_key, locked.concurrency_key, locked.status, locked.reason,
    locked.run_id, locked.attempt, locked.result, locked.error, locked.progress, locked.reported_progress,
    locked.available_at, locked.ready_at, locked.due_at, locked.limit_at, locked.wake_at, locked.wake_event,
    locked.event_payload, locked.wait_step, locked.wait_all, locked.claimed_by, locked.lease_token,
    locked.lease_expires_at, locked.final_body, locked.created_at, locked.first_started_at, locked.started_at,
    locked.completed_at, locked.cancelled_at, locked.cancel_requested_at, locked.updated_at, locked.revision,
    clock_timestamp() AS now
FROM locked;

-- tasks._CANCEL_OF_RUNS
WITH to_cancel AS (
    SELECT tasks.task_id AS task_id
    FROM tasks
    WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[]) AND tasks.status IN ('pending', 'running', 'sleeping') AND
        (%(running_too)s OR tasks.status != 'running')
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
), cancelled AS (
    UPDATE tasks
    SET status='cancelled', reason=%(why)s::VARCHAR, ready_at=%(param_1)s::TIMESTAMP WITH TIME ZONE,
        due_at=%(param_2)s::TIMESTAMP WITH TIME ZONE, limit_at=%(param_3)s::TIMESTAMP WITH TIME ZONE,
        wake_at=%(param_4)s::TIMESTAMP WITH TIME ZONE, wait_step=%(param_5)s::VARCHAR, wait_all=%(param_6)s::TEXT[],
        lease_expires_at=%(param_7)s::TIMESTAMP WITH TIME ZONE, completed_at=greatest(now(), tasks.started_at),
        cancelled_at=greatest(now(), tasks.started_at), updated_at=greatest(now(), tasks.updated_at),
        revision=(tasks.revision + %(revision_1)s::BIGINT)
    WHERE tasks.task_id = ANY (array((
        SELECT to_cancel.task_id
        FROM to_cancel
    )))
    RETURNING tasks.queue
)
SELECT DISTINCT cancelled.queue
FROM cancelled;

-- tasks._HAS_RUNNING
SELECT EXISTS (
    SELECT 1
    FROM tasks
    WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[]) AND tasks.status = 'running'
) AS anon_1;

-- tasks._LOCK_TO_REOPEN
WITH locked AS (
    SELECT tasks.task_id AS task_id, tasks.queue AS queue, tasks.task_name AS task_name, tasks.params AS params,
        tasks.headers AS headers, tasks.priority AS priority, tasks.workflow_run_id AS workflow_run_id,
        tasks.parent_task_id AS parent_task_id, tasks.step AS step, tasks.traceparent AS traceparent, tasks.max_attempts
        AS max_attempts, tasks.max_lost AS max_lost, tasks.lost_count AS lost_count, tasks.forgiven_count AS
        forgiven_count, tasks.retry_strategy AS retry_strategy, tasks.max_delay_seconds AS max_delay_seconds,
        tasks.max_duration_seconds AS max_duration_seconds, tasks.idempotency_key AS idempotency_key,
        tasks.concurrency_key AS concurrency_key, tasks.status AS status, tasks.reason AS reason, tasks.run_id AS
        run_id, tasks.attempt AS attempt, tasks.result AS result, tasks.error AS error, tasks.progress AS progress,
        tasks.reported_progress AS reported_progress, tasks.available_at AS available_at, tasks.ready_at AS ready_at,
        tasks.due_at AS due_at, tasks.limit_at AS limit_at, tasks.wake_at AS wake_at, tasks.wake_event AS wake_event,
        tasks.event_payload AS event_payload, tasks.wait_step AS wait_step, tasks.wait_all AS wait_all, tasks.claimed_by
        AS claimed_by, tasks.lease_token AS lease_token, tasks.lease_expires_at AS lease_expires_at, tasks.final_body AS
        final_body, tasks.created_at AS created_at, tasks.first_started_at AS first_started_at, tasks.started_at AS
        started_at, tasks.completed_at AS completed_at, tasks.cancelled_at AS cancelled_at, tasks.cancel_requested_at AS
        cancel_requested_at, tasks.updated_at AS updated_at, tasks.revision AS revision
    FROM tasks
    WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[]) AND tasks.status IN ('failed', 'cancelled')
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
)
SELECT locked.task_id, locked.queue, locked.task_name, locked.params, locked.headers, locked.priority,
    locked.workflow_run_id, locked.parent_task_id, locked.step, locked.traceparent, locked.max_attempts,
    locked.max_lost, locked.lost_count, locked.forgiven_count, locked.retry_strategy, locked.max_delay_seconds,
    locked.max_duration_seconds, locked.idempotency_key, locked.concurrency_key, locked.status, locked.reason,
    locked.run_id, locked.attempt, locked.result, locked.error, locked.progress, locked.reported_progress,
    locked.available_at, locked.ready_at, locked.due_at, locked.limit_at, locked.wake_at, locked.wake_event,
    locked.event_payload, locked.wait_step, locked.wait_all, locked.claimed_by, locked.lease_token,
    locked.lease_expires_at, locked.final_body, locked.created_at, locked.first_started_at, locked.started_at,
    locked.completed_at, locked.cancelled_at, locked.cancel_requested_at, locked.updated_at, locked.revision,
    clock_timestamp() AS now
FROM locked;

-- tasks._LOCK_TO_DELETE
SELECT count(*) AS count_1
FROM (
    SELECT tasks.task_id AS task_id
    FROM tasks
    WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[])
    ORDER BY tasks.task_id
    FOR UPDATE
) AS to_delete;

-- tasks._UPDATE
WITH item AS (
    SELECT row.task_id AS task_id, row.status AS status, row.reason AS reason, row.run_id AS run_id, row.attempt AS
        attempt, row.max_attempts AS max_attempts, row.lost_count AS lost_count, row.forgiven_count AS forgiven_count,
        row.error AS error, row.ready_at AS ready_at, row.due_at AS due_at, row.limit_at AS limit_at, row.wake_at AS
        wake_at, row.wake_event AS wake_event, row.event_payload AS event_payload, row.wait_step AS wait_step,
        row.wait_all AS wait_all, row.claimed_by AS claimed_by, row.lease_token AS lease_token, row.lease_expires_at AS
        lease_expires_at, row.first_started_at AS first_started_at, row.started_at AS started_at, row.completed_at AS
        completed_at, row.cancelled_at AS cancelled_at, row.cancel_requested_at AS cancel_requested_at, row.updated_at
        AS updated_at, row.revision AS revision
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(task_id UUID, status TEXT, reason TEXT, run_id UUID,
        attempt INTEGER, max_attempts INTEGER, lost_count INTEGER, forgiven_count INTEGER, error JSON, ready_at
        TIMESTAMP WITH TIME ZONE, due_at TIMESTAMP WITH TIME ZONE, limit_at TIMESTAMP WITH TIME ZONE, wake_at TIMESTAMP
        WITH TIME ZONE, wake_event TEXT, event_payload JSON, wait_step TEXT, wait_all TEXT[], claimed_by TEXT,
        lease_token UUID, lease_expires_at TIMESTAMP WITH TIME ZONE, first_started_at TIMESTAMP WITH TIME ZONE,
        started_at TIMESTAMP WITH TIME ZONE, completed_at TIMESTAMP WITH TIME ZONE, cancelled_at TIMESTAMP WITH TIME
        ZONE, cancel_requested_at TIMESTAMP WITH TIME ZONE, updated_at TIMESTAMP WITH TIME ZONE, revision BIGINT)
)
UPDATE tasks
SET max_attempts=item.max_attempts, lost_count=item.lost_count, forgiven_count=item.forgiven_count, status=item.status,
    reason=item.reason, run_id=item.run_id, attempt=item.attempt, error=item.error, ready_at=item.ready_at,
    due_at=item.due_at, limit_at=item.limit_at, wake_at=item.wake_at, wake_event=item.wake_event,
    event_payload=item.event_payload, wait_step=item.wait_step, wait_all=item.wait_all, claimed_by=item.claimed_by,
    lease_token=item.lease_token, lease_expires_at=item.lease_expires_at, first_started_at=item.first_started_at,
    started_at=item.started_at, completed_at=item.completed_at, cancelled_at=item.cancelled_at,
    cancel_requested_at=item.cancel_requested_at, updated_at=item.updated_at, revision=item.revision
FROM item
WHERE tasks.task_id = item.task_id AND tasks.revision < item.revision;

-- tasks._REQUEST_CANCEL
WITH to_stop AS (
    SELECT tasks.task_id AS task_id
    FROM tasks
    WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[]) AND tasks.status = 'running' AND tasks.cancel_requested_at IS
        NULL
    ORDER BY tasks.task_id
    FOR NO KEY UPDATE
)
UPDATE tasks
SET cancel_requested_at=now(), updated_at=greatest(now(), tasks.updated_at), revision=(tasks.revision +
    %(revision_1)s::BIGINT)
WHERE tasks.task_id = ANY (array((
    SELECT to_stop.task_id
    FROM to_stop
)));

-- tasks._WITHHOLD
UPDATE tasks
SET ready_at=%(ready_at)s::TIMESTAMP WITH TIME ZONE, wake_at=%(wake_at)s::TIMESTAMP WITH TIME ZONE
WHERE tasks.task_id = ANY (%(ids)s::UUID[]);

-- tasks._WITHHOLD_OF_HALTED
UPDATE tasks
SET ready_at=%(ready_at)s::TIMESTAMP WITH TIME ZONE, wake_at=%(wake_at)s::TIMESTAMP WITH TIME ZONE
WHERE tasks.task_id = ANY (%(ids)s::UUID[]) AND tasks.step IS NOT NULL AND (EXISTS (
    SELECT 1
    FROM workflow_runs
    WHERE workflow_runs.workflow_run_id = tasks.workflow_run_id AND (workflow_runs.paused_at IS NOT NULL OR
        workflow_runs.cancel_requested_at IS NOT NULL)
));

-- tasks._WITHHOLD_OF_RUN
UPDATE tasks
SET ready_at=%(ready_at)s::TIMESTAMP WITH TIME ZONE
WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[]) AND tasks.step IS NOT NULL AND tasks.ready_at IS NOT NULL;

-- tasks._OFFER_OF_RUN
UPDATE tasks
SET ready_at=now()
WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[]) AND tasks.step IS NOT NULL AND tasks.status IN ('pending',
    'sleeping') AND tasks.ready_at IS NULL AND tasks.due_at IS NULL AND tasks.wake_at IS NULL AND tasks.wait_step IS
    NULL;

-- tasks._COUNT_OPEN
SELECT tasks.workflow_run_id, count(*) AS open
FROM tasks
WHERE tasks.workflow_run_id = ANY (%(ids)s::UUID[]) AND tasks.status IN ('pending', 'running', 'sleeping')
GROUP BY tasks.workflow_run_id;

-- tasks._PRUNE
WITH RECURSIVE queues_of_old(queue) AS (
    SELECT (
        SELECT tasks.queue
        FROM tasks
        WHERE tasks.workflow_run_id IS NULL AND tasks.completed_at IS NOT NULL
        ORDER BY tasks.queue
        LIMIT %(param_1)s::INTEGER
    ) AS queue
    UNION ALL
    SELECT (
        SELECT tasks.queue
        FROM tasks
        WHERE tasks.workflow_run_id IS NULL AND tasks.completed_at IS NOT NULL AND tasks.queue > queues_of_old.queue
        ORDER BY tasks.queue
        LIMIT %(param_1)s::INTEGER
    ) AS anon_1
    FROM queues_of_old
    WHERE queues_of_old.queue IS NOT NULL
), "old" AS (
    SELECT old_of_queue.task_id AS task_id
    FROM queues_of_old
    LEFT OUTER JOIN queues ON queues.queue = queues_of_old.queue
    JOIN LATERAL (
        SELECT tasks.task_id AS task_id
        FROM tasks
        WHERE tasks.queue = queues_of_old.queue AND tasks.workflow_run_id IS NULL AND tasks.completed_at < now() -
            coalesce(queues.retention_seconds, %(keep)s) * CAST(%(param_2)s::INTERVAL AS INTERVAL)
        ORDER BY tasks.completed_at
        LIMIT %(most)s::INTEGER
        FOR UPDATE SKIP LOCKED
    ) AS old_of_queue ON true
    LIMIT %(most)s::INTEGER
)
DELETE
FROM tasks
WHERE tasks.task_id = ANY (array((
    SELECT "old".task_id
    FROM "old"
)));

-- why._GET_TASKS
SELECT tasks.task_id AS task_id, tasks.task_name AS task_name, tasks.queue AS queue, tasks.workflow_run_id AS
    workflow_run_id, tasks.step AS step, tasks.status AS status, tasks.error AS error, tasks.attempt AS attempt,
    tasks.claimed_by AS claimed_by, tasks.lease_expires_at AS lease_expires_at, tasks.concurrency_key AS
    concurrency_key, tasks.ready_at AS ready_at, tasks.due_at AS due_at, tasks.wake_at AS wake_at, tasks.wait_step AS
    wait_step, tasks.cancel_requested_at AS cancel_requested_at, tasks.created_at AS created_at, tasks.started_at AS
    started_at, tasks.completed_at AS completed_at, tasks.updated_at AS updated_at, clock_timestamp() AS now,
    workflow_runs.status AS run_status, workflow_runs.paused_at AS run_paused_at, workflow_runs.cancel_requested_at AS
    run_cancel_requested_at, CASE WHEN coalesce(json_extract_path_text(workflow_steps.facts,
    %(json_extract_path_text_1)s::VARCHAR) = 'circuit', false) THEN workflow_steps.due_at END AS isolated_until, (
    SELECT tasks_1.task_id
    FROM tasks AS tasks_1
    WHERE tasks_1.queue = tasks.queue AND tasks_1.concurrency_key = tasks.concurrency_key AND tasks_1.status = 'running'
        AND tasks_1.concurrency_key IS NOT NULL
) AS holder_task_id, CASE WHEN (tasks.ready_at IS NULL) THEN %(param_1)s::INTEGER ELSE least(CAST((
    SELECT count(*) AS count_1
    FROM (
        SELECT tasks_2.task_id AS task_id
        FROM tasks AS tasks_2
        WHERE tasks_2.queue = tasks.queue AND tasks_2.ready_at IS NOT NULL AND tasks_2.priority > tasks.priority
        ORDER BY tasks_2.priority DESC, tasks_2.sequence
        LIMIT %(most)s::INTEGER
    ) AS ready
) AS BIGINT) + CAST((
    SELECT count(*) AS count_2
    FROM (
        SELECT tasks_2.task_id AS task_id
        FROM tasks AS tasks_2
        WHERE tasks_2.queue = tasks.queue AND tasks_2.ready_at IS NOT NULL AND tasks_2.priority = tasks.priority AND
            tasks_2.sequence < tasks.sequence
        ORDER BY tasks_2.priority DESC, tasks_2.sequence
        LIMIT %(most)s::INTEGER
    ) AS ready
) AS BIGINT), %(most)s::INTEGER) END AS ready_before
FROM tasks
LEFT OUTER JOIN workflow_runs ON workflow_runs.workflow_run_id = tasks.workflow_run_id
LEFT OUTER JOIN workflow_steps ON workflow_steps.workflow_run_id = tasks.workflow_run_id AND workflow_steps.path =
    tasks.step
WHERE tasks.task_id = ANY (%(ids)s::UUID[])
ORDER BY tasks.sequence;

-- why._LIST_OPEN_TASKS
SELECT tasks.task_id
FROM tasks
WHERE tasks.workflow_run_id = %(of_run)s::UUID AND tasks.status IN ('pending', 'running', 'sleeping')
LIMIT %(most)s::INTEGER;

-- why._COUNT_OPEN_TASKS
SELECT count(*) AS count_1
FROM (
    SELECT tasks.task_id AS task_id
    FROM tasks
    WHERE tasks.workflow_run_id = %(of_run)s::UUID AND tasks.status IN ('pending', 'running', 'sleeping')
    LIMIT %(most)s::INTEGER
) AS anon_1;

-- why._GET_QUEUES
SELECT queues.queue, queues.paused, queues.updated_at, queues.max_concurrency, CASE WHEN (queues.max_concurrency IS
    NULL) THEN %(param_1)s::INTEGER ELSE (
    SELECT count(*) AS count_1
    FROM (
        SELECT tasks.task_id AS task_id
        FROM tasks
        WHERE tasks.queue = queues.queue AND tasks.status = 'running'
        LIMIT coalesce(queues.max_concurrency, %(coalesce_1)s::INTEGER) + %(coalesce_2)s::INTEGER
    ) AS places
) END AS running
FROM queues
WHERE queues.queue = ANY (%(queues)s::TEXT[]);

-- why._LIST_AWAITED
SELECT event_waits.task_id, event_waits.event_name
FROM event_waits
WHERE event_waits.task_id = ANY (%(ids)s::UUID[]) AND NOT (EXISTS (
    SELECT 1
    FROM events
    WHERE events.queue = event_waits.queue AND events.event_name = event_waits.event_name AND (events.workflow_run_id IS
        NULL OR events.workflow_run_id = event_waits.workflow_run_id)
))
ORDER BY event_waits.task_id, event_waits.event_name
LIMIT %(most)s::INTEGER;

-- why._GET_RUN
SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.status AS status, workflow_runs.reason AS reason,
    workflow_runs.queue AS queue, workflow_runs.error AS error, workflow_runs.workflow_id AS workflow_id,
    workflow_runs.schedule_id AS schedule_id, workflow_runs.cancel_requested_at AS cancel_requested_at,
    workflow_runs.cancel_due_at AS cancel_due_at, workflow_runs.paused_at AS paused_at, workflow_runs.deadline_at AS
    deadline_at, workflow_runs.heartbeat_seconds AS heartbeat_seconds, workflow_runs.heartbeat_expires_at AS
    heartbeat_expires_at, workflow_runs.expected_by AS expected_by, workflow_runs.late_at AS late_at,
    workflow_runs.created_at AS created_at, workflow_runs.started_at AS started_at, workflow_runs.completed_at AS
    completed_at, clock_timestamp() AS now, workflow_executions.deadline_at AS execution_deadline_at,
    schedules.max_active_runs AS max_active_runs
FROM workflow_runs
LEFT OUTER JOIN workflow_executions ON workflow_executions.workflow_run_id = workflow_runs.workflow_run_id
LEFT OUTER JOIN schedules ON schedules.schedule_id = workflow_runs.schedule_id
WHERE workflow_runs.workflow_run_id = %(of_run)s::UUID;

-- why._LIST_OPEN_STEPS
SELECT workflow_steps.path AS path, workflow_steps.scope AS scope, workflow_steps.operator_type AS operator_type,
    workflow_steps.status AS status, workflow_steps.task_id AS task_id, workflow_steps.awaits AS awaits,
    workflow_steps.due_at AS due_at, workflow_steps.started_at AS started_at, workflow_steps.completed_at AS
    completed_at, workflow_steps.error AS error, json_extract_path_text(workflow_steps.facts,
    %(json_extract_path_text_1)s::VARCHAR) AS cause, CAST(coalesce(json_extract_path_text(workflow_steps.facts,
    %(json_extract_path_text_2)s::VARCHAR) = 'circuit', false) AS BOOLEAN) AS is_isolated
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND (workflow_steps.status IN ('runnable', 'running') OR
    workflow_steps.due_at IS NOT NULL)
LIMIT %(most)s::INTEGER;

-- why._LIST_FAILED_STEPS
SELECT workflow_steps.path AS path, workflow_steps.scope AS scope, workflow_steps.operator_type AS operator_type,
    workflow_steps.status AS status, workflow_steps.task_id AS task_id, workflow_steps.awaits AS awaits,
    workflow_steps.due_at AS due_at, workflow_steps.started_at AS started_at, workflow_steps.completed_at AS
    completed_at, workflow_steps.error AS error, json_extract_path_text(workflow_steps.facts,
    %(json_extract_path_text_1)s::VARCHAR) AS cause, CAST(coalesce(json_extract_path_text(workflow_steps.facts,
    %(json_extract_path_text_2)s::VARCHAR) = 'circuit', false) AS BOOLEAN) AS is_isolated
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND workflow_steps.scope = ANY (%(scopes)s::TEXT[]) AND
    workflow_steps.status IN ('failed', 'upstream_failed')
ORDER BY workflow_steps.completed_at, workflow_steps.path
LIMIT %(most)s::INTEGER;

-- why._GET_STEPS
SELECT workflow_steps.path AS path, workflow_steps.scope AS scope, workflow_steps.operator_type AS operator_type,
    workflow_steps.status AS status, workflow_steps.task_id AS task_id, workflow_steps.awaits AS awaits,
    workflow_steps.due_at AS due_at, workflow_steps.started_at AS started_at, workflow_steps.completed_at AS
    completed_at, workflow_steps.error AS error, json_extract_path_text(workflow_steps.facts,
    %(json_extract_path_text_1)s::VARCHAR) AS cause, CAST(coalesce(json_extract_path_text(workflow_steps.facts,
    %(json_extract_path_text_2)s::VARCHAR) = 'circuit', false) AS BOOLEAN) AS is_isolated
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND workflow_steps.path = ANY (%(paths)s::TEXT[])
ORDER BY workflow_steps.completed_at, workflow_steps.path;

-- why._LIST_WAITING
SELECT workflow_steps.path
FROM workflow_steps
WHERE workflow_steps.workflow_run_id = %(of_run)s::UUID AND workflow_steps.scope = %(scope_1)s::VARCHAR AND
    workflow_steps.status = 'waiting' AND workflow_steps.due_at IS NULL
ORDER BY workflow_steps.sequence
LIMIT %(most)s::INTEGER;

-- why._LIST_CHILDREN
SELECT newest.workflow_run_id, newest.workflow_name, newest.status, workflow_executions.parent_step AS path,
    newest.created_at
FROM (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id, workflow_runs.workflow_name AS workflow_name,
        workflow_runs.status AS status, workflow_runs.created_at AS created_at
    FROM workflow_runs
    WHERE workflow_runs.parent_workflow_run_id = %(of_run)s::UUID
    ORDER BY workflow_runs.created_at DESC
    LIMIT %(param_1)s::INTEGER
) AS newest
JOIN workflow_executions ON workflow_executions.workflow_run_id = newest.workflow_run_id
WHERE newest.status IN ('pending', 'running') AND workflow_executions.parent_step IS NOT NULL
ORDER BY newest.created_at
LIMIT %(most)s::INTEGER;

-- workers._LIST_LIVING
SELECT queue_workers.queue, queue_workers.worker_id, queue_workers.seen_at, queue_workers.task_names,
    queue_workers.signed_off_at
FROM queue_workers
WHERE queue_workers.queue = ANY (%(queues)s::TEXT[]) AND (queue_workers.signed_off_at IS NULL OR
    queue_workers.signed_off_at < queue_workers.seen_at) AND (queue_workers.seen_at > clock_timestamp() - interval '63
    seconds' OR (EXISTS (
    SELECT 1
    FROM tasks
    WHERE tasks.claimed_by = queue_workers.worker_id AND tasks.queue = queue_workers.queue AND tasks.status = 'running'
        AND tasks.lease_expires_at > clock_timestamp()
)))
ORDER BY queue_workers.queue, queue_workers.seen_at DESC, queue_workers.worker_id
LIMIT %(param_1)s::INTEGER;

-- workers._COUNT_CREWS
WITH place AS (
    SELECT row.queue AS queue, row.task_name AS task_name
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(queue TEXT, task_name TEXT)
)
SELECT place.queue, place.task_name, crew.living, crew.takers, crew.last_seen_at
FROM place, LATERAL (
    SELECT count(*) FILTER (WHERE (newest.signed_off_at IS NULL OR newest.signed_off_at < newest.seen_at) AND
        (newest.seen_at > clock_timestamp() - interval '63 seconds' OR (EXISTS (
        SELECT 1
        FROM tasks
        WHERE tasks.claimed_by = newest.worker_id AND tasks.queue = newest.queue AND tasks.status = 'running' AND
            tasks.lease_expires_at > clock_timestamp()
    )))) AS living, count(*) FILTER (WHERE (newest.signed_off_at IS NULL OR newest.signed_off_at < newest.seen_at) AND
        (newest.seen_at > clock_timestamp() - interval '63 seconds' OR (EXISTS (
        SELECT 1
        FROM tasks
        WHERE tasks.claimed_by = newest.worker_id AND tasks.queue = newest.queue AND tasks.status = 'running' AND
            tasks.lease_expires_at > clock_timestamp()
    ))) AND (newest.task_names IS NULL OR place.task_name = ANY (newest.task_names))) AS takers, max(newest.seen_at) AS
        last_seen_at
    FROM (
        SELECT queue_workers.queue AS queue, queue_workers.worker_id AS worker_id, queue_workers.seen_at AS seen_at,
            queue_workers.task_names AS task_names, queue_workers.signed_off_at AS signed_off_at
        FROM queue_workers
        WHERE queue_workers.queue = place.queue
        ORDER BY queue_workers.seen_at DESC
        LIMIT %(param_1)s::INTEGER
    ) AS newest
) AS crew;

-- workers._SEE
WITH seen AS (
    SELECT row.queue AS queue, row.worker_id AS worker_id, row.task_names AS task_names, row.age AS age
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(queue TEXT, worker_id TEXT, task_names TEXT[], age
        FLOAT)
)
INSERT INTO queue_workers (queue, worker_id, task_names, seen_at)
SELECT seen.queue, seen.worker_id, seen.task_names, clock_timestamp() - seen.age * CAST(%(param_1)s::INTERVAL AS
    INTERVAL) AS anon_1
FROM seen
ORDER BY seen.queue, seen.worker_id
ON CONFLICT (queue, worker_id) DO UPDATE SET seen_at = excluded.seen_at, task_names = excluded.task_names
WHERE excluded.seen_at > queue_workers.seen_at;

-- workers._SIGN_OFF
INSERT INTO queue_workers (queue, worker_id, seen_at, signed_off_at)
VALUES (%(of_queue)s::VARCHAR, %(worker)s::VARCHAR, clock_timestamp(), clock_timestamp())
ON CONFLICT (queue, worker_id) DO UPDATE SET signed_off_at = clock_timestamp();

-- workers._FORGET
DELETE
FROM queue_workers
WHERE (queue_workers.queue, queue_workers.worker_id) IN (
    SELECT queue_workers.queue, queue_workers.worker_id
    FROM queue_workers
    WHERE queue_workers.seen_at < now() - interval '1 day' AND NOT ((queue_workers.signed_off_at IS NULL OR
        queue_workers.signed_off_at < queue_workers.seen_at) AND (queue_workers.seen_at > clock_timestamp() - interval
        '63 seconds' OR (EXISTS (
        SELECT 1
        FROM tasks
        WHERE tasks.claimed_by = queue_workers.worker_id AND tasks.queue = queue_workers.queue AND tasks.status =
            'running' AND tasks.lease_expires_at > clock_timestamp()
    ))))
    FOR UPDATE SKIP LOCKED
);

-- workflow_run_history._LIST
SELECT workflow_run_history.history_id, workflow_run_history.workflow_run_id, workflow_run_history.at,
    workflow_run_history.verb, workflow_run_history.from_status, workflow_run_history.to_status,
    workflow_run_history.attempt, workflow_run_history.actor, workflow_run_history.reason,
    workflow_run_history.request_id
FROM workflow_run_history
WHERE workflow_run_history.workflow_run_id = %(workflow_run_id)s::UUID AND workflow_run_history.history_id >
    %(after)s::BIGINT
ORDER BY workflow_run_history.history_id
LIMIT %(most)s;

-- workflow_runs._INSERT
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.workflow_name AS workflow_name, row.workflow_version AS
        workflow_version, row.workflow_hash AS workflow_hash, row.queue AS queue, row.inputs AS inputs, row.tags AS
        tags, row.tag_texts AS tag_texts, row.created_by AS created_by, row.absurd_run_id AS absurd_run_id,
        row.parent_workflow_run_id AS parent_workflow_run_id, row.task_count AS task_count, row.heartbeat_seconds AS
        heartbeat_seconds, row.status AS status, row.result AS result, row.error AS error, row.expected_by AS
        expected_by, row.started_at AS started_at, row.completed_at AS completed_at, row.deadline_seconds AS
        deadline_seconds, row.actor AS actor, row.request_id AS request_id
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, workflow_name TEXT,
        workflow_version TEXT, workflow_hash TEXT, queue TEXT, inputs JSON, tags JSON, tag_texts JSONB, created_by TEXT,
        absurd_run_id TEXT, parent_workflow_run_id UUID, task_count INTEGER, heartbeat_seconds DOUBLE PRECISION, status
        TEXT, result JSON, error JSON, expected_by TIMESTAMP WITH TIME ZONE, started_at TIMESTAMP WITH TIME ZONE,
        completed_at TIMESTAMP WITH TIME ZONE, deadline_seconds FLOAT, actor TEXT, request_id TEXT)
), run AS (
    INSERT INTO workflow_runs (workflow_run_id, workflow_name, workflow_version, workflow_hash, queue, inputs, tags,
        tag_texts, created_by, absurd_run_id, parent_workflow_run_id, task_count, heartbeat_seconds, deadline_at,
        status, result, error, expected_by, late_at, heartbeat_expires_at, started_at, completed_at)
    SELECT item.workflow_run_id AS workflow_run_id, item.workflow_name AS workflow_name, item.workflow_version AS
        workflow_version, item.workflow_hash AS workflow_hash, item.queue AS queue, item.inputs AS inputs, item.tags AS
        tags, item.tag_texts AS tag_texts, item.created_by AS created_by, item.absurd_run_id AS absurd_run_id,
        item.parent_workflow_run_id AS parent_workflow_run_id, item.task_count AS task_count, item.heartbeat_seconds AS
        heartbeat_seconds, now() + item.deadline_seconds * CAST(%(param_2)s::INTERVAL AS INTERVAL) AS anon_3,
        coalesce(item.status, CAST(%(param_3)s::VARCHAR AS TEXT)) AS coalesce_1, item.result AS result, item.error AS
        error, item.expected_by AS expected_by, CASE WHEN (item.expected_by <= now() AND ((coalesce(item.status,
        CAST(%(param_3)s::VARCHAR AS TEXT)) NOT IN ('completed', 'failed', 'cancelled')) OR coalesce(item.completed_at,
        greatest(now(), item.started_at)) > item.expected_by)) THEN now() END AS anon_4, CASE WHEN
        (coalesce(item.status, CAST(%(param_3)s::VARCHAR AS TEXT)) = CAST(%(param_4)s::VARCHAR AS TEXT)) THEN now() +
        item.heartbeat_seconds * CAST(%(param_5)s::INTERVAL AS INTERVAL) END AS anon_5, CASE WHEN (coalesce(item.status,
        CAST(%(param_3)s::VARCHAR AS TEXT)) = CAST(%(param_4)s::VARCHAR AS TEXT)) THEN coalesce(item.started_at, now())
        ELSE item.started_at END AS anon_6, CASE WHEN (coalesce(item.status, CAST(%(param_3)s::VARCHAR AS TEXT)) IN
        ('completed', 'failed', 'cancelled')) THEN coalesce(item.completed_at, greatest(now(), item.started_at)) END AS
        anon_7
    FROM item
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt, workflow_runs.created_at,
        workflow_runs.deadline_at, workflow_runs.late_at, workflow_runs.heartbeat_expires_at, workflow_runs.started_at,
        workflow_runs.completed_at
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, now() AS now_1,
        CAST(%(param_1)s::VARCHAR AS TEXT) AS anon_1, CAST(NULL AS TEXT) AS anon_2, item.actor AS actor, CAST(NULL AS
        TEXT) AS anon__1, item.request_id AS request_id
    FROM run
    JOIN item ON run.workflow_run_id = item.workflow_run_id
    WHERE CAST(NULL AS TEXT) IS DISTINCT FROM run.status OR CAST(%(param_1)s::VARCHAR AS TEXT) != %(param_6)s::VARCHAR
    ORDER BY run.workflow_run_id
)
SELECT run.workflow_run_id, run.created_at, run.deadline_at, run.late_at, run.heartbeat_expires_at, run.started_at,
    run.completed_at
FROM run;

-- workflow_runs._INSERT_ANSWERED
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.workflow_name AS workflow_name, row.workflow_version AS
        workflow_version, row.workflow_hash AS workflow_hash, row.queue AS queue, row.inputs AS inputs, row.tags AS
        tags, row.tag_texts AS tag_texts, row.created_by AS created_by, row.absurd_run_id AS absurd_run_id,
        row.parent_workflow_run_id AS parent_workflow_run_id, row.task_count AS task_count, row.heartbeat_seconds AS
        heartbeat_seconds, row.deadline_seconds AS deadline_seconds, row.actor AS actor, row.request_id AS request_id
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, workflow_name TEXT,
        workflow_version TEXT, workflow_hash TEXT, queue TEXT, inputs JSON, tags JSON, tag_texts JSONB, created_by TEXT,
        absurd_run_id TEXT, parent_workflow_run_id UUID, task_count INTEGER, heartbeat_seconds DOUBLE PRECISION,
        deadline_seconds FLOAT, actor TEXT, request_id TEXT)
), run AS (
    INSERT INTO workflow_runs (workflow_run_id, workflow_name, workflow_version, workflow_hash, queue, inputs, tags,
        tag_texts, created_by, absurd_run_id, parent_workflow_run_id, task_count, heartbeat_seconds, deadline_at,
        status)
    SELECT item.workflow_run_id AS workflow_run_id, item.workflow_name AS workflow_name, item.workflow_version AS
        workflow_version, item.workflow_hash AS workflow_hash, item.queue AS queue, item.inputs AS inputs, item.tags AS
        tags, item.tag_texts AS tag_texts, item.created_by AS created_by, item.absurd_run_id AS absurd_run_id,
        item.parent_workflow_run_id AS parent_workflow_run_id, item.task_count AS task_count, item.heartbeat_seconds AS
        heartbeat_seconds, now() + item.deadline_seconds * CAST(%(param_2)s::INTERVAL AS INTERVAL) AS anon_3,
        CAST(%(param_3)s::VARCHAR AS TEXT) AS anon_4
    FROM item
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt, workflow_runs.created_at,
        workflow_runs.deadline_at, workflow_runs.late_at, workflow_runs.heartbeat_expires_at, workflow_runs.started_at,
        workflow_runs.completed_at
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, now() AS now_1,
        CAST(%(param_1)s::VARCHAR AS TEXT) AS anon_1, CAST(NULL AS TEXT) AS anon_2, item.actor AS actor, CAST(NULL AS
        TEXT) AS anon__1, item.request_id AS request_id
    FROM run
    JOIN item ON run.workflow_run_id = item.workflow_run_id
    WHERE CAST(NULL AS TEXT) IS DISTINCT FROM run.status OR CAST(%(param_1)s::VARCHAR AS TEXT) != %(param_4)s::VARCHAR
    ORDER BY run.workflow_run_id
), key AS (
    SELECT row.scope AS scope, row.body AS body, row.answer AS answer
    FROM json_to_recordset(CAST(%(keys)s::VARCHAR AS JSON)) AS row(scope BYTEA, body BYTEA, answer TEXT)
), answered AS (
    INSERT INTO idempotency_keys (scope, body, answer)
    SELECT key.scope AS scope, key.body AS body, replace(key.answer, %(place_of_now)s::VARCHAR,
        to_char(timezone(%(timezone_1)s::VARCHAR, now()), %(to_char_1)s::VARCHAR)) AS replace_1
    FROM key
)
SELECT to_char(timezone(%(timezone_1)s::VARCHAR, now()), %(to_char_1)s::VARCHAR) AS to_char_2
FROM run
LIMIT %(param_5)s::INTEGER;

-- workflow_runs._BEGIN
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.workflow_id AS workflow_id, row.rerun_of_workflow_run_id AS
        rerun_of_workflow_run_id, row.schedule_id AS schedule_id, row.data_interval_start AS data_interval_start,
        row.data_interval_end AS data_interval_end, row.deadline_at AS deadline_at, row.actor AS actor, row.request_id
        AS request_id
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, workflow_id UUID,
        rerun_of_workflow_run_id UUID, schedule_id UUID, data_interval_start TIMESTAMP WITH TIME ZONE, data_interval_end
        TIMESTAMP WITH TIME ZONE, deadline_at TIMESTAMP WITH TIME ZONE, actor TEXT, request_id TEXT)
), run AS (
    UPDATE workflow_runs
    SET status=CAST(%(param_3)s::VARCHAR AS TEXT), workflow_id=item.workflow_id,
        rerun_of_workflow_run_id=item.rerun_of_workflow_run_id, schedule_id=item.schedule_id,
        data_interval_start=item.data_interval_start, data_interval_end=item.data_interval_end,
        revision=(workflow_runs.revision + %(revision_1)s::BIGINT), deadline_at=item.deadline_at, started_at=now()
    FROM item
    WHERE workflow_runs.workflow_run_id = item.workflow_run_id
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, now() AS now_1,
        CAST(%(param_1)s::VARCHAR AS TEXT) AS anon_1, CAST(%(param_2)s::VARCHAR AS TEXT) AS anon_2, item.actor AS actor,
        CAST(NULL AS TEXT) AS anon_3, item.request_id AS request_id
    FROM run
    JOIN item ON run.workflow_run_id = item.workflow_run_id
    WHERE CAST(%(param_2)s::VARCHAR AS TEXT) IS DISTINCT FROM run.status OR CAST(%(param_1)s::VARCHAR AS TEXT) !=
        %(param_4)s::VARCHAR
    ORDER BY run.workflow_run_id
)
SELECT run.workflow_run_id
FROM run;

-- workflow_runs._UPDATE
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.status AS status, row.reason AS reason, row.result AS result,
        row.error AS error, row.tags AS tags, row.tag_texts AS tag_texts, row.links AS links, row.reported_progress AS
        reported_progress, row.task_count AS task_count, row.attempt AS attempt, row.cancel_requested_at AS
        cancel_requested_at, row.paused_at AS paused_at, row.deadline_at AS deadline_at, row.heartbeat_expires_at AS
        heartbeat_expires_at, row.started_at AS started_at, row.completed_at AS completed_at, row.updated_at AS
        updated_at, row.revision AS revision, row.cancel_due_at AS cancel_due_at, row.from_status AS from_status,
        row.verb AS verb, row.why AS why, row.actor AS actor, row.request_id AS request_id
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, status TEXT, reason TEXT,
        result JSON, error JSON, tags JSON, tag_texts JSONB, links JSON, reported_progress JSON, task_count INTEGER,
        attempt INTEGER, cancel_requested_at TIMESTAMP WITH TIME ZONE, paused_at TIMESTAMP WITH TIME ZONE, deadline_at
        TIMESTAMP WITH TIME ZONE, heartbeat_expires_at TIMESTAMP WITH TIME ZONE, started_at TIMESTAMP WITH TIME ZONE,
        completed_at TIMESTAMP WITH TIME ZONE, updated_at TIMESTAMP WITH TIME ZONE, revision BIGINT, cancel_due_at
        TIMESTAMP WITH TIME ZONE, from_status TEXT, verb TEXT, why TEXT, actor TEXT, request_id TEXT)
), run AS (
    UPDATE workflow_runs
    SET status=item.status, reason=item.reason, result=item.result, error=item.error, tags=item.tags,
        tag_texts=item.tag_texts, links=item.links, reported_progress=item.reported_progress,
        task_count=item.task_count, attempt=item.attempt, revision=item.revision,
        cancel_requested_at=item.cancel_requested_at, cancel_due_at=CASE WHEN (item.completed_at IS NOT NULL) THEN NULL
        ELSE least(item.cancel_due_at, workflow_runs.cancel_due_at) END, paused_at=item.paused_at,
        deadline_at=item.deadline_at, heartbeat_expires_at=item.heartbeat_expires_at, started_at=item.started_at,
        completed_at=item.completed_at, updated_at=item.updated_at
    FROM item
    WHERE workflow_runs.workflow_run_id = item.workflow_run_id AND workflow_runs.revision < item.revision
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, item.updated_at AS
        updated_at, item.verb AS verb, item.from_status AS from_status, item.actor AS actor, coalesce(item.why,
        item.reason) AS coalesce_1, item.request_id AS request_id
    FROM run
    JOIN item ON run.workflow_run_id = item.workflow_run_id
    WHERE item.from_status IS DISTINCT FROM run.status OR item.verb != %(verb_1)s::VARCHAR
    ORDER BY run.workflow_run_id
)
SELECT run.workflow_run_id
FROM run;

-- workflow_runs._UPDATE_READ
WITH item AS (
    SELECT row.workflow_run_id AS workflow_run_id, row.status AS status, row.reason AS reason, row.result AS result,
        row.error AS error, row.tags AS tags, row.tag_texts AS tag_texts, row.links AS links, row.reported_progress AS
        reported_progress, row.task_count AS task_count, row.attempt AS attempt, row.cancel_requested_at AS
        cancel_requested_at, row.paused_at AS paused_at, row.deadline_at AS deadline_at, row.heartbeat_expires_at AS
        heartbeat_expires_at, row.started_at AS started_at, row.completed_at AS completed_at, row.updated_at AS
        updated_at, row.revision AS revision, row.cancel_due_at AS cancel_due_at, row.from_status AS from_status,
        row.verb AS verb, row.why AS why, row.actor AS actor, row.request_id AS request_id, row.seen_heartbeat AS
        seen_heartbeat
    FROM json_to_recordset(CAST(%(rows)s::VARCHAR AS JSON)) AS row(workflow_run_id UUID, status TEXT, reason TEXT,
        result JSON, error JSON, tags JSON, tag_texts JSONB, links JSON, reported_progress JSON, task_count INTEGER,
        attempt INTEGER, cancel_requested_at TIMESTAMP WITH TIME ZONE, paused_at TIMESTAMP WITH TIME ZONE, deadline_at
        TIMESTAMP WITH TIME ZONE, heartbeat_expires_at TIMESTAMP WITH TIME ZONE, started_at TIMESTAMP WITH TIME ZONE,
        completed_at TIMESTAMP WITH TIME ZONE, updated_at TIMESTAMP WITH TIME ZONE, revision BIGINT, cancel_due_at
        TIMESTAMP WITH TIME ZONE, from_status TEXT, verb TEXT, why TEXT, actor TEXT, request_id TEXT, seen_heartbeat
        TIMESTAMP WITH TIME ZONE)
), unmoved AS (
    SELECT workflow_runs.workflow_run_id AS workflow_run_id
    FROM workflow_runs, item
    WHERE workflow_runs.workflow_run_id = item.workflow_run_id AND workflow_runs.revision = item.revision -
        %(revision_1)s::BIGINT AND workflow_runs.heartbeat_expires_at IS NOT DISTINCT FROM item.seen_heartbeat
    ORDER BY workflow_runs.workflow_run_id
    FOR NO KEY UPDATE OF workflow_runs
), run AS (
    UPDATE workflow_runs
    SET status=item.status, reason=item.reason, result=item.result, error=item.error, tags=item.tags,
        tag_texts=item.tag_texts, links=item.links, reported_progress=item.reported_progress,
        task_count=item.task_count, attempt=item.attempt, revision=item.revision,
        cancel_requested_at=item.cancel_requested_at, cancel_due_at=CASE WHEN (item.completed_at IS NOT NULL) THEN NULL
        ELSE least(item.cancel_due_at, workflow_runs.cancel_due_at) END, paused_at=item.paused_at,
        deadline_at=item.deadline_at, heartbeat_expires_at=item.heartbeat_expires_at, started_at=item.started_at,
        completed_at=item.completed_at, updated_at=item.updated_at
    FROM item, unmoved
    WHERE workflow_runs.workflow_run_id = item.workflow_run_id AND workflow_runs.workflow_run_id =
        unmoved.workflow_run_id
    RETURNING workflow_runs.workflow_run_id, workflow_runs.status, workflow_runs.attempt
), history AS (
    INSERT INTO workflow_run_history (workflow_run_id, to_status, attempt, at, verb, from_status, actor, reason,
        request_id)
    SELECT run.workflow_run_id AS workflow_run_id, run.status AS status, run.attempt AS attempt, item.updated_at AS
        updated_at, item.verb AS verb, item.from_status AS from_status, item.actor AS actor, coalesce(item.why,
        item.reason) AS coalesce_1, item.request_id AS request_id
    FROM run
    JOIN item ON run.workflow_run_id = item.workflow_run_id
    WHERE item.from_status IS DISTINCT FROM run.status OR item.verb != %(verb_1)s::VARCHAR
    ORDER BY run.workflow_run_id
)
SELECT run.workflow_run_id
FROM run;

-- workflow_runs._GET
SELECT workflow_runs.workflow_run_id, workflow_runs.workflow_name, workflow_runs.workflow_version,
    workflow_runs.workflow_hash, workflow_runs.status, workflow_runs.reason, workflow_runs.queue, workflow_runs.inputs,
    workflow_runs.result, workflow_runs.error, workflow_runs.tags, workflow_runs.links, workflow_runs.reported_progress,
    workflow_runs.created_by, workflow_runs.absurd_run_id, workflow_runs.parent_workflow_run_id,
    workflow_runs.workflow_id, workflow_runs.rerun_of_workflow_run_id, workflow_runs.schedule_id,
    workflow_runs.data_interval_start, workflow_runs.data_interval_end, workflow_runs.task_count, workflow_runs.attempt,
    workflow_runs.revision, workflow_runs.cancel_requested_at, workflow_runs.cancel_due_at, workflow_runs.paused_at,
    workflow_runs.deadline_at, workflow_runs.expected_by, workflow_runs.late_at, workflow_runs.heartbeat_seconds,
    workflow_runs.heartbeat_expires_at, workflow_runs.created_at, workflow_runs.started_at, workflow_runs.completed_at,
    workflow_runs.updated_at, (
    SELECT json_build_object('pending', count(*) FILTER (WHERE tasks.status = 'pending'), 'running', count(*) FILTER
        (WHERE tasks.status = 'running'), 'sleeping', count(*) FILTER (WHERE tasks.status = 'sleeping'), 'completed',
        count(*) FILTER (WHERE tasks.status = 'completed'), 'failed', count(*) FILTER (WHERE tasks.status = 'failed'),
        'cancelled', count(*) FILTER (WHERE tasks.status = 'cancelled')) AS json_build_object_1
    FROM tasks
    WHERE tasks.workflow_run_id = workflow_runs.workflow_run_id
) AS task_counts, now() AS now
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = %(workflow_run_id)s::UUID;

-- workflow_runs._GET_MANY
SELECT workflow_runs.workflow_run_id, workflow_runs.workflow_name, workflow_runs.workflow_version,
    workflow_runs.workflow_hash, workflow_runs.status, workflow_runs.reason, workflow_runs.queue, workflow_runs.inputs,
    workflow_runs.result, workflow_runs.error, workflow_runs.tags, workflow_runs.links, workflow_runs.reported_progress,
    workflow_runs.created_by, workflow_runs.absurd_run_id, workflow_runs.parent_workflow_run_id,
    workflow_runs.workflow_id, workflow_runs.rerun_of_workflow_run_id, workflow_runs.schedule_id,
    workflow_runs.data_interval_start, workflow_runs.data_interval_end, workflow_runs.task_count, workflow_runs.attempt,
    workflow_runs.revision, workflow_runs.cancel_requested_at, workflow_runs.cancel_due_at, workflow_runs.paused_at,
    workflow_runs.deadline_at, workflow_runs.expected_by, workflow_runs.late_at, workflow_runs.heartbeat_seconds,
    workflow_runs.heartbeat_expires_at, workflow_runs.created_at, workflow_runs.started_at, workflow_runs.completed_at,
    workflow_runs.updated_at, (
    SELECT json_build_object('pending', count(*) FILTER (WHERE tasks.status = 'pending'), 'running', count(*) FILTER
        (WHERE tasks.status = 'running'), 'sleeping', count(*) FILTER (WHERE tasks.status = 'sleeping'), 'completed',
        count(*) FILTER (WHERE tasks.status = 'completed'), 'failed', count(*) FILTER (WHERE tasks.status = 'failed'),
        'cancelled', count(*) FILTER (WHERE tasks.status = 'cancelled')) AS json_build_object_1
    FROM tasks
    WHERE tasks.workflow_run_id = workflow_runs.workflow_run_id
) AS task_counts, now() AS now
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[]);

-- workflow_runs._LOCK
SELECT workflow_runs.workflow_run_id, workflow_runs.workflow_name, workflow_runs.workflow_version,
    workflow_runs.workflow_hash, workflow_runs.status, workflow_runs.reason, workflow_runs.queue, workflow_runs.inputs,
    workflow_runs.result, workflow_runs.error, workflow_runs.tags, workflow_runs.links, workflow_runs.reported_progress,
    workflow_runs.created_by, workflow_runs.absurd_run_id, workflow_runs.parent_workflow_run_id,
    workflow_runs.workflow_id, workflow_runs.rerun_of_workflow_run_id, workflow_runs.schedule_id,
    workflow_runs.data_interval_start, workflow_runs.data_interval_end, workflow_runs.task_count, workflow_runs.attempt,
    workflow_runs.revision, workflow_runs.cancel_requested_at, workflow_runs.cancel_due_at, workflow_runs.paused_at,
    workflow_runs.deadline_at, workflow_runs.expected_by, workflow_runs.late_at, workflow_runs.heartbeat_seconds,
    workflow_runs.heartbeat_expires_at, workflow_runs.created_at, workflow_runs.started_at, workflow_runs.completed_at,
    workflow_runs.updated_at, (
    SELECT json_build_object('pending', count(*) FILTER (WHERE tasks.status = 'pending'), 'running', count(*) FILTER
        (WHERE tasks.status = 'running'), 'sleeping', count(*) FILTER (WHERE tasks.status = 'sleeping'), 'completed',
        count(*) FILTER (WHERE tasks.status = 'completed'), 'failed', count(*) FILTER (WHERE tasks.status = 'failed'),
        'cancelled', count(*) FILTER (WHERE tasks.status = 'cancelled')) AS json_build_object_1
    FROM tasks
    WHERE tasks.workflow_run_id = workflow_runs.workflow_run_id
) AS task_counts, now() AS now
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[])
ORDER BY workflow_runs.workflow_run_id
FOR NO KEY UPDATE;

-- workflow_runs._LOCK_ROWS
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[])
ORDER BY workflow_runs.workflow_run_id
FOR NO KEY UPDATE;

-- workflow_runs._SHARE
SELECT workflow_runs.workflow_run_id, workflow_runs.queue, workflow_runs.completed_at
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[])
ORDER BY workflow_runs.workflow_run_id
FOR SHARE;

-- workflow_runs._LOCK_KEYS
SELECT workflow_runs.workflow_run_id
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = ANY (%(ids)s::UUID[])
ORDER BY workflow_runs.workflow_run_id
FOR KEY SHARE;

-- workflow_runs._DELETE
DELETE
FROM workflow_runs
WHERE workflow_runs.workflow_run_id = %(workflow_run_id)s::UUID AND workflow_runs.status IN ('completed', 'failed',
    'cancelled');

-- workflows._INSERT
INSERT INTO workflows (workflow_id, workflow_name, workflow_version, workflow_hash, description, document, source,
    media_type, warnings, created_by)
VALUES (%(new_workflow_id)s::UUID, %(new_workflow_name)s::VARCHAR, %(new_workflow_version)s::VARCHAR,
    %(new_workflow_hash)s::VARCHAR, %(new_description)s::VARCHAR, %(new_document)s::JSON, %(new_source)s::VARCHAR,
    %(new_media_type)s::VARCHAR, %(new_warnings)s::JSON, %(new_created_by)s::VARCHAR)
ON CONFLICT (workflow_name, workflow_version) DO NOTHING
RETURNING workflows.workflow_id, workflows.workflow_name, workflows.workflow_version, workflows.workflow_hash,
    workflows.description, workflows.media_type, workflows.warnings, workflows.created_by, workflows.created_at,
    workflows.sequence;

-- workflows._GET
SELECT workflows.workflow_id, workflows.workflow_name, workflows.workflow_version, workflows.workflow_hash,
    workflows.description, workflows.document, workflows.source, workflows.media_type, workflows.warnings,
    workflows.created_by, workflows.created_at, workflows.sequence
FROM workflows
WHERE workflows.workflow_name = %(name)s::VARCHAR AND workflows.workflow_version = %(version)s::VARCHAR;

-- workflows._GET_NEWEST
SELECT workflows.workflow_id, workflows.workflow_name, workflows.workflow_version, workflows.workflow_hash,
    workflows.description, workflows.document, workflows.source, workflows.media_type, workflows.warnings,
    workflows.created_by, workflows.created_at, workflows.sequence
FROM workflows
WHERE workflows.workflow_name = %(name)s::VARCHAR
ORDER BY workflows.sequence DESC
LIMIT %(param_1)s::INTEGER;

-- workflows._LIST_NAMES
SELECT DISTINCT workflows.workflow_name
FROM workflows
WHERE workflows.workflow_name = ANY (%(names)s::TEXT[]);

-- workflows._SHARE
SELECT workflows.workflow_id, workflows.workflow_name, workflows.workflow_version, workflows.workflow_hash,
    workflows.description, workflows.media_type, workflows.warnings, workflows.created_by, workflows.created_at,
    workflows.sequence
FROM workflows
WHERE workflows.workflow_name = %(name)s::VARCHAR AND workflows.workflow_version = %(version)s::VARCHAR
FOR KEY SHARE;

-- workflows._SHARE_NEWEST
SELECT workflows.workflow_id, workflows.workflow_name, workflows.workflow_version, workflows.workflow_hash,
    workflows.description, workflows.media_type, workflows.warnings, workflows.created_by, workflows.created_at,
    workflows.sequence
FROM workflows
WHERE workflows.workflow_name = %(name)s::VARCHAR
ORDER BY workflows.sequence DESC
LIMIT %(param_1)s::INTEGER
FOR KEY SHARE;

-- workflows._LOCK
SELECT workflows.workflow_id, workflows.workflow_name, workflows.workflow_version, workflows.workflow_hash,
    workflows.description, workflows.media_type, workflows.warnings, workflows.created_by, workflows.created_at,
    workflows.sequence
FROM workflows
WHERE workflows.workflow_name = %(name)s::VARCHAR AND workflows.workflow_version = %(version)s::VARCHAR
FOR UPDATE;

-- workflows._LIST_NEWEST
WITH RECURSIVE names(name, place) AS ((
    SELECT workflows.workflow_name AS name, %(param_1)s::INTEGER AS place
    FROM workflows
    WHERE workflows.workflow_name > %(after)s::VARCHAR
    ORDER BY workflows.workflow_name
    LIMIT %(param_2)s::INTEGER
) UNION ALL SELECT following.workflow_name AS workflow_name, names.place + %(place_1)s::INTEGER AS anon_1 FROM names
    JOIN LATERAL (
    SELECT workflows.workflow_name AS workflow_name
    FROM workflows
    WHERE workflows.workflow_name > names.name
    ORDER BY workflows.workflow_name
    LIMIT %(param_3)s::INTEGER
) AS following ON true WHERE names.place < %(most)s::BIGINT)
SELECT newest.workflow_id, newest.workflow_name, newest.workflow_version, newest.workflow_hash, newest.description,
    newest.media_type, newest.warnings, newest.created_by, newest.created_at, newest.sequence
FROM names
JOIN LATERAL (
    SELECT workflows.workflow_id AS workflow_id, workflows.workflow_name AS workflow_name, workflows.workflow_version AS
        workflow_version, workflows.workflow_hash AS workflow_hash, workflows.description AS description,
        workflows.media_type AS media_type, workflows.warnings AS warnings, workflows.created_by AS created_by,
        workflows.created_at AS created_at, workflows.sequence AS sequence
    FROM workflows
    WHERE workflows.workflow_name = names.name
    ORDER BY workflows.sequence DESC
    LIMIT %(param_4)s::INTEGER
) AS newest ON true
ORDER BY names.name;

-- workflows._LIST_VERSIONS
SELECT workflows.workflow_id, workflows.workflow_name, workflows.workflow_version, workflows.workflow_hash,
    workflows.description, workflows.media_type, workflows.warnings, workflows.created_by, workflows.created_at,
    workflows.sequence
FROM workflows
WHERE workflows.workflow_name = %(name)s::VARCHAR AND workflows.sequence < %(before)s::BIGINT
ORDER BY workflows.sequence DESC
LIMIT %(most)s;

-- workflows._FIND_RUN
SELECT workflow_executions.workflow_run_id
FROM workflow_executions
WHERE workflow_executions.workflow_id = %(workflow_id)s::UUID
ORDER BY workflow_executions.workflow_run_id DESC
LIMIT %(param_1)s::INTEGER;

-- workflows._DELETE
DELETE
FROM workflows
WHERE workflows.workflow_id = %(workflow_id)s::UUID;
