#!/bin/sh
# Any command as a run, and pings of monitors, without Python: one file to copy to where only sh and curl (7.29) are.
#
# Shows: what `milepost exec` and `milepost ping` do, in little: heartbeats while the command runs, and its exit code or
# signal as the error of the run. A service that is away or refuses costs seconds and one line on standard error. What
# the command prints is not logged, and a run that is cancelled does not end it. The key is in no list of processes.
#
# Run it:
#     $ ./milepost.sh run --name shell_backup --tag host=db1 -- sh -c 'echo copied; exit 3'
#     $ ./milepost.sh ping shell-backup fail 'disk full'
#     $ milepost runs list --name shell_backup
# What is set here begins with mp_, so that nothing of the command's environment is changed.
mp_url=${MILEPOST_URL:-http://127.0.0.1:8000}
mp_url=${mp_url%/}
mp_patience=2      # seconds for a call
mp_beat_seconds=60 # without a heartbeat in this time a run is lost; three are sent

mp_usage() {
    echo 'usage: milepost.sh run [--name N] [--tag k=v]... -- COMMAND ARGS...' >&2
    echo '       milepost.sh ping NAME [start|ok|fail] [MESSAGE]' >&2
    exit 2
}

mp_json() { # TEXT: as a JSON string
    printf '%s\n' "$1" | LC_ALL=C awk '
        BEGIN {
            for (i = 1; i < 32; i++) as[sprintf("%c", i)] = sprintf("\\u%04x", i)
            as["\""] = "\\\""; as["\\"] = "\\\\"; printf "\""
        }
        NR > 1 { printf "\\n" }
        { for (i = 1; i <= length($0); i++) { c = substr($0, i, 1); printf "%s", (c in as) ? as[c] : c } }
        END { printf "\"" }'
}

mp_option() { # NAME VALUE: as a line of a configuration of curl, of which no value can make two
    printf '%s = "%s"\n' "$1" "$(printf '%s' "$2" | tr -d '\000-\037' | sed 's/[\\"]/\\&/g')"
}

mp_options() { # METHOD PATH BODY KEY
    mp_option request "$1"
    mp_option url "$mp_url$2"
    mp_option data-binary "$3"
    mp_option header 'Content-Type: application/json'
    mp_option header 'Expect:'
    [ -z "$4" ] || mp_option header "Idempotency-Key: $4"
    [ -z "${MILEPOST_API_KEY-}" ] || mp_option header "Authorization: Bearer $MILEPOST_API_KEY"
}

mp_call() { # METHOD PATH BODY [KEY]: sets mp_answer, and mp_status (000: none); what is sent is no argument of curl
    mp_answer=$(mp_options "$1" "$2" "$3" "${4-}" | curl -q --silent --globoff --include --max-time "$mp_patience" \
        --write-out '\n%{http_code}' --config - 2>/dev/null | tr -d '\r')
    mp_status=$(printf '%s\n' "$mp_answer" | sed -n '$p')
    case $mp_status in [1-5][0-9][0-9]) ;; *) mp_status=000 ;; esac
}

mp_complain() { # says once why the last call came to nothing
    [ -z "${mp_complained-}" ] || return 0
    mp_complained=yes
    mp_reason=$(printf '%s\n' "$mp_answer" | sed -n 's/.*"code": *"\([a-z-]*\)".*/ (\1)/p')
    case $mp_status in
        000) mp_reason='the service does not answer' ;;
        2*) mp_reason='what answers is no Milepost' ;;
        5*) mp_reason="the service cannot answer: status $mp_status" ;;
        *) mp_reason="the service refuses it: status $mp_status$mp_reason" ;;
    esac
    printf 'milepost.sh: %s%s\n' "$mp_reason" "$mp_nevertheless" >&2
}

mp_new_key() { # sets mp_key, by which a call that is repeated is known
    mp_key=$$-$(date +%s)-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
}

mp_now() {
    date -u +%Y-%m-%dT%H:%M:%SZ
}

mp_create() { # asks for the run, the same one however often; sets mp_id, empty where there is none
    mp_call POST /v1/workflow-runs "$mp_run" "$mp_key"
    mp_id=''
    case $mp_status in
        2*) mp_id=$(printf '%s\n' "$mp_answer" | sed -n '/^$/q; s/^[Ll]ocation: .*\/\([0-9a-f-]*\)$/\1/p') ;;
    esac
}

mp_may_pass() { # whether the same may be taken later
    case $mp_status in 000 | 429 | 5*) ;; *) false ;; esac
}

mp_beat() { # until it, or this script, is killed; it must not hold what the command reads and prints
    exec </dev/null >/dev/null 2>&1
    trap '' HUP TERM
    while
        sleep $((mp_beat_seconds / 3))
        kill -0 $$
    do
        if [ -n "$mp_id" ]; then mp_call POST "/v1/workflow-runs/$mp_id/heartbeat" '{}'; else mp_create; fi
    done
}

mp_stop_beating() {
    kill -KILL "$mp_beater"
    wait "$mp_beater"
} 2>/dev/null

mp_pass() { # SIGNAL: on to the command, or kept until it runs
    mp_told=yes
    if [ -n "$mp_child" ]; then kill "-$1" "$mp_child" 2>/dev/null; else mp_early=TERM; fi
}

mp_take_signals() { # a shell lets what runs beside it ignore SIGINT; only env (of coreutils 8.31) undoes that
    mp_child='' mp_early='' mp_sigint='' mp_env=''
    trap 'mp_sigint=TERM' INT
    kill -INT $$ # nothing comes of it where it is ignored, as by nohup: then it stays so
    if [ -n "$mp_sigint" ] && env --default-signal=INT,QUIT true 2>/dev/null; then
        mp_env=yes mp_sigint=INT
        ! (: </dev/tty) 2>/dev/null || mp_sigint=0 # a terminal interrupts the command itself
    fi
    trap 'mp_pass "$mp_sigint"' INT
    trap 'mp_pass HUP' HUP
    trap 'mp_pass TERM' TERM
}

mp_start() { # COMMAND ARGS...: sets mp_child
    set -- sh -c 'exec "$@"' sh "$@" # a command, never a function of this script
    [ -z "$mp_env" ] || set -- env --default-signal=INT,QUIT "$@"
    if (: 9<&0) 2>/dev/null; then
        exec 9<&0 # what runs beside a shell reads nothing, unless it is told to
        "$@" <&9 9<&- &
        mp_child=$!
        exec 9<&-
    else
        "$@" <&- &
        mp_child=$!
    fi
    [ -z "$mp_early" ] || kill "-$mp_early" "$mp_child"
}

mp_wait() { # sets mp_code: a signal ends the waiting, not the command
    mp_code=''
    while
        mp_told=''
        wait "$mp_child" 2>/dev/null
        mp_ended=$?
        [ "$mp_ended" = 127 ] && [ -n "$mp_code" ] || mp_code=$mp_ended # 127 again: it had ended already
        [ -n "$mp_told" ]
    do :; done
}

mp_outcome() { # the members that end the run
    mp_signal=''
    [ "$mp_code" -le 128 ] || [ "$mp_code" -ge 160 ] || mp_signal=SIG$(kill -l "$mp_code")
    if [ "$mp_code" = 0 ]; then
        printf '"status": "completed"'
    elif [ -n "$mp_signal" ]; then
        printf '"status": "failed", "error": {"type": "Signal", "message": "ended by %s", "signal": "%s"}' \
            "$mp_signal" "$mp_signal"
    else
        printf '"status": "failed", "error": {"type": "ExitCode", "message": "exit code %s", "exit_code": %s}' \
            "$mp_code" "$mp_code"
    fi
}

mp_end() { # tells how the run ended; a run that others have ended or deleted is left to them
    mp_completed=$(printf '%s\n' "$mp_started" "$(mp_now)" | sort | tail -n 1) # a clock may go back
    [ -n "$mp_id" ] || mp_create
    for mp_pause in 1 2 0; do
        [ -n "$mp_id" ] || break
        mp_call PATCH "/v1/workflow-runs/$mp_id" "{$(mp_outcome), \"completed_at\": \"$mp_completed\"}"
        mp_may_pass || break
        sleep "$mp_pause"
    done
    case ${mp_id:+$mp_status} in 2?? | 404 | 409) ;; *) mp_complain ;; esac
}

mp_name_of() { # COMMAND: the workflow name that it stands for
    mp_plain=$(printf '%s' "${1##*/}" | LC_ALL=C tr A-Z a-z | LC_ALL=C tr -cs a-z0-9 _ | sed 's/^_//; s/_$//')
    mp_plain=$(printf '%.190s' "$mp_plain")
    case $mp_plain in '') echo job ;; [0-9]*) echo "job_$mp_plain" ;; *) echo "$mp_plain" ;; esac
}

mp_run_command() {
    mp_name='' mp_tags=''
    while [ "${1-}" != -- ]; do
        case ${1-}:${2-} in
            --name:?*) mp_name=$2 ;;
            --tag:?*=*) mp_tags="$mp_tags${mp_tags:+, }$(mp_json "${2%%=*}"): $(mp_json "${2#*=}")" ;;
            *) mp_usage ;;
        esac
        shift 2
    done
    shift
    [ -n "${1-}" ] || mp_usage
    mp_nevertheless='; the command runs all the same'
    mp_started=$(mp_now)
    mp_run="{\"workflow_name\": $(mp_json "${mp_name:-$(mp_name_of "$1")}"), \"workflow_version\": \"1\",
        \"status\": \"running\", \"started_at\": \"$mp_started\", \"heartbeat_seconds\": $mp_beat_seconds,
        \"created_by\": $(mp_json "milepost.sh@$(uname -n)"), \"tags\": {$mp_tags}}"
    mp_new_key
    mp_take_signals
    mp_create
    [ -n "$mp_id" ] || mp_complain
    [ -z "$mp_id" ] || export MILEPOST_WORKFLOW_RUN_ID="$mp_id"
    mp_tells=yes
    [ -n "$mp_id" ] || mp_may_pass || mp_tells=''
    mp_start "$@"
    mp_beater=''
    [ -z "$mp_tells" ] || { mp_beat & mp_beater=$!; }
    mp_wait
    [ -z "$mp_beater" ] || { mp_stop_beating; mp_end; }
    exit "$mp_code"
}

mp_ping() { # NAME [start|ok|fail] [MESSAGE]
    case ${1-}:$# in :* | *[!a-z0-9_.:-]* | *:[4-9]) mp_usage ;; esac
    case ${2-ok} in start) mp_state=started ;; ok) mp_state=completed ;; fail) mp_state=failed ;; *) mp_usage ;; esac
    mp_message=''
    [ -z "${3-}" ] || mp_message=", \"message\": $(mp_json "$3")"
    mp_nevertheless=''
    mp_new_key
    for mp_pause in 1 2 0; do
        mp_call POST "/v1/monitors/$1/ping" "{\"state\": \"$mp_state\"$mp_message}" "$mp_key"
        mp_may_pass || break
        sleep "$mp_pause"
    done
    case $mp_status in 2??) exit 0 ;; esac
    mp_complain
    if mp_may_pass; then exit 7; else exit 22; fi
}

case ${1-} in
    run) shift && mp_run_command "$@" ;;
    ping) shift && mp_ping "$@" ;;
    *) mp_usage ;;
esac
