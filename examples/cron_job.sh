#!/usr/bin/env bash
# A nightly job that records its run, with curl alone.
#
# Shows: a run with inputs, a deadline and a result; a job that fails is recorded with its exit code, and a service that
# is away does not keep the job from its work. The tutorial (docs/tutorial.md) adds heartbeats.
#
# Run it (curl 7.84 or later):
#     $ ./cron_job.sh 2026-11-22
#     $ ./cron_job.sh 1999-12-31
#     $ milepost runs list --name cron_job
set -euo pipefail
milepost=${MILEPOST_URL:-http://127.0.0.1:8000}
day=${1:-$(date -u +%F)}

call() { # one call, with what curl is given; whatever becomes of it, the job goes on
    curl --silent --show-error --fail-with-body --max-time 5 --output /dev/null \
        --header "Authorization: Bearer ${MILEPOST_API_KEY:-none}" "$@" || true
}

move() { # changes the run, if there is one
    [[ -z $run ]] || call --retry 5 --request PATCH --json "$1" "$run"
}

finish() { # however the job ends
    local code=$?
    ((code == 0)) || move "{\"status\": \"failed\", \"error\": {\"message\": \"exit code $code\"}}"
}

path=$(call --write-out '%header{location}' --json "{
    \"workflow_name\": \"cron_job\", \"workflow_version\": \"1\",
    \"inputs\": {\"day\": \"$day\"}, \"created_by\": \"cron@$(uname -n)\", \"deadline_seconds\": 3600
}" "$milepost/v1/workflow-runs")
run=${path:+$milepost$path}
trap finish EXIT
move '{"status": "running"}'

# The work.
if [[ $day == 1999-* ]]; then
    echo "there are no orders of $day" >&2
    exit 4
fi
rows=$(seq 1200 | wc -l)

move "{\"status\": \"completed\", \"result\": {\"rows\": $((rows))}}"
echo "exported $((rows)) rows of $day"
