"""Many stored runs, made in SQL: most have ended long ago, a few names make most of them."""

import psycopg
from psycopg import sql

NAMES = 50
COMMONEST_NAME = "workflow_1"
RAREST_NAME = f"workflow_{NAMES}"

_SEED = sql.SQL("""
INSERT INTO workflow_runs (
    workflow_run_id, workflow_name, workflow_version, status, queue, inputs, result, error, tags, tag_texts,
    created_by, created_at, started_at, completed_at, updated_at, revision)
SELECT
    (lpad(to_hex((extract(epoch FROM created_at) * 1000)::bigint), 12, '0') || '7' || substr(hash, 1, 3)
        || '8' || substr(hash, 4, 15))::uuid,
    'workflow_' || name, '1.' || i % 5 || '.0', status, 'default',
    json_build_object('date', created_at::date, 'source', 'warehouse', 'limit', i % 1000),
    CASE WHEN status = 'completed' THEN json_build_object('rows', i % 100000) END,
    CASE WHEN status = 'failed' THEN json_build_object('name', 'TimeoutError', 'message', 'no answer in 30 s') END,
    coalesce(tags, '{{}}')::json, tags::jsonb, 'cron@db' || i % 10,
    created_at, started_at, ended_at, coalesce(ended_at, started_at, created_at),
    1 + (started_at IS NOT NULL)::int + (ended_at IS NOT NULL)::int
FROM (
    SELECT *,
        CASE WHEN status <> 'pending' THEN created_at + interval '2 seconds' END AS started_at,
        CASE WHEN status NOT IN ('pending', 'running') THEN created_at + interval '5 minutes' END AS ended_at,
        CASE WHEN i % 5 = 0 THEN format('{{"env": "%s", "team": "team_%s"}}',
            CASE WHEN i % 4 = 0 THEN 'prod' ELSE 'dev' END, i % 97) END AS tags
    FROM (
        SELECT i, md5(i::text) AS hash, least({names}, floor({names} ^ random())::int) AS name,
            now() - interval '1 day' - (({most} - i) / {most}::float) * interval '30 days' AS created_at,
            CASE WHEN chance < 0.96 THEN 'completed' WHEN chance < 0.98 THEN 'failed'
                WHEN chance < 0.99 THEN 'cancelled' WHEN chance < 0.999 THEN 'running' ELSE 'pending' END AS status
        FROM generate_series(1, {most}) AS i, LATERAL (SELECT random() AS chance WHERE i > 0) AS dice
    ) AS drawn
) AS run""")


def seed_runs(database: psycopg.Connection[tuple[object, ...]], most: int) -> None:
    """Store ``most`` runs of the last 30 days, and let the planner and the visibility map know."""
    database.execute("SELECT setseed(0.5)")
    database.execute(_SEED.format(names=sql.Literal(NAMES), most=sql.Literal(most)))
    database.execute("VACUUM (ANALYZE) workflow_runs")
