// What needs a person, first; then how much was done, and what waits on the queues.
import { get, type Queue, type Run } from '../../api'
import { count, duration, errorLine, plural } from '../../format'
import { orAbsent, useLive } from '../../live'
import { parameter, setParameters } from '../../router'
import { Button, Empty, Id, Panel, ProblemNote, Skeleton } from '../../ui/controls'
import { Icon } from '../../ui/icons'
import { Status } from '../../ui/status'
import { Time } from '../../ui/time'
import { Activity } from './Activity'

const PERIODS = { hour: 3600, day: 86_400, week: 604_800 } as const
type Period = keyof typeof PERIODS
const WAITS_LONG_SECONDS = 60
const SHOWN = 6
const CURL = `curl --json '{"workflow_name": "etl", "workflow_version": "1"}' ${location.origin}/v1/workflow-runs`

export default function Overview() {
  const period: Period = (Object.keys(PERIODS) as Period[]).find((name) => name === parameter('period')) ?? 'day'
  const isRun = (change: { kind: string }) => change.kind === 'workflow_run'
  const any = useLive('any run', (abort) => get('/v1/workflow-runs', { query: { limit: 1 }, abort }), isRun)
  const queues = useLive('queues', (abort) => get('/v1/queues', { query: { limit: 200 }, abort }), (change) => change.kind === 'task' || change.kind === 'queue')
  if (any.data?.items.length === 0 && queues.data?.items.length === 0) {
    return (
      <div class="screen">
        <h1>Overview</h1>
        <div class="panel"><Empty title="Nothing was recorded yet" curl={CURL}>Record the first run from any terminal. It appears here at once.</Empty></div>
      </div>
    )
  }
  return (
    <div class="screen overview">
      <div class="row spread">
        <h1>Overview</h1>
        <div class="row segments" role="group" aria-label="Period">
          {(Object.keys(PERIODS) as Period[]).map((name) => (
            <Button key={name} class="small" aria-pressed={name === period} onClick={() => setParameters({ period: name === 'day' ? undefined : name })}>{`Last ${name}`}</Button>
          ))}
        </div>
      </div>
      <ProblemNote problem={any.problem} />
      <Needs period={period} queues={queues.data?.items ?? []} />
      <Activity period={period} seconds={PERIODS[period]} />
      <Queues queues={queues.data?.items} />
    </div>
  )
}

function since(seconds: number): string {
  const minute = Math.floor(Date.now() / 60_000) * 60_000
  return new Date(minute - seconds * 1000).toISOString()
}

function Needs({ period, queues }: { period: Period; queues: readonly Queue[] }) {
  const isRun = (change: { kind: string }) => change.kind === 'workflow_run'
  const after = since(PERIODS[period])
  const failed = useLive(`needs failed ${after}`, (abort) => get('/v1/workflow-runs', { query: { status: ['failed'], completed_after: after, order: '-completed_at', limit: SHOWN, count: 'exact' }, abort }), isRun)
  const late = useLive('needs late', (abort) => orAbsent(get('/v1/workflow-runs', { query: { late: true, status: ['pending', 'running'], limit: SHOWN, count: 'exact' }, abort })), isRun)
  const stuck = queues.filter((queue) => queue.depth.pending > 0 && !queue.paused && queue.workers.length === 0 && (queue.oldest_pending_seconds ?? 0) > 5)
  const paused = queues.filter((queue) => queue.paused && queue.depth.pending > 0)
  const slow = queues.filter((queue) => !stuck.includes(queue) && !queue.paused && (queue.oldest_pending_seconds ?? 0) > WAITS_LONG_SECONDS)
  const failedRuns = failed.data?.items ?? []
  const lateRuns = late.data?.items ?? []
  const isLoaded = failed.data !== undefined
  const isCalm = isLoaded && !failedRuns.length && !lateRuns.length && !stuck.length && !paused.length && !slow.length
  return (
    <Panel title="Needs somebody" aside={isLoaded && !isCalm && <NeedsCounts failed={failed.data?.total} late={late.data?.total} after={after} />}>
      {!isLoaded && <Skeleton rows={3} />}
      {isCalm && <p class="calm"><span class="status good"><span class="status-mark"><Icon name="completed" size={14} /></span></span> Nothing does. No run failed in the last {period}, none is late, and every queue is worked.</p>}
      <ul class="needs">
        {stuck.map((queue) => <QueueNeed key={queue.queue} queue={queue} says="nobody works on it" tone="bad" />)}
        {paused.map((queue) => <QueueNeed key={queue.queue} queue={queue} says="is paused" tone="warn" />)}
        {slow.map((queue) => <QueueNeed key={queue.queue} queue={queue} says="is behind" tone="warn" />)}
        {lateRuns.map((run) => <RunNeed key={run.workflow_run_id} run={run} status="late" />)}
        {failedRuns.map((run) => <RunNeed key={run.workflow_run_id} run={run} status="failed" />)}
      </ul>
    </Panel>
  )
}

function NeedsCounts({ failed, late, after }: { failed: number | null | undefined; late: number | null | undefined; after: string }) {
  return (
    <>
      {!!late && <a href="/runs?late=true&status=pending&status=running">{plural(late, 'late run')}</a>}
      {!!failed && <a href={`/runs?status=failed&completed_after=${encodeURIComponent(after)}&order=-completed_at`}>{plural(failed, 'failed run')}</a>}
    </>
  )
}

function QueueNeed({ queue, says, tone }: { queue: Queue; says: string; tone: string }) {
  return (
    <li>
      <span class={`status ${tone}`}><span class="status-mark"><Icon name={queue.paused ? 'paused' : 'late'} size={14} /></span>{queue.paused ? 'paused' : tone === 'bad' ? 'stuck' : 'slow'}</span>
      <span class="need-what"><a class="strong" href={`/queues/${encodeURIComponent(queue.queue)}`}>Queue {queue.queue}</a> <span class="soft">{says}: {plural(queue.depth.pending, 'task')} {queue.depth.pending === 1 ? 'waits' : 'wait'}</span></span>
      <span class="faint number need-when">{queue.oldest_pending_seconds !== null && `oldest for ${duration(queue.oldest_pending_seconds * 1000)}`}</span>
    </li>
  )
}

function RunNeed({ run, status }: { run: Run; status: string }) {
  return (
    <li>
      <Status status={status} />
      <span class="need-what">
        <a class="strong" href={`/runs/${run.workflow_run_id}`}>{run.workflow_name}</a>{' '}
        <span class="soft">{status === 'late' ? <>was expected {run.expected_by && <Time at={run.expected_by} isAgo />}</> : errorLine(run.error) || run.reason?.replaceAll('_', ' ')}</span>
      </span>
      <span class="wide"><Id id={run.workflow_run_id} /></span>
      <span class="faint number need-when"><Time at={run.completed_at ?? run.created_at} isAgo /></span>
    </li>
  )
}

function Queues({ queues }: { queues: readonly Queue[] | undefined }) {
  if (!queues?.length) return null
  return (
    <Panel title="Queues" aside={<a href="/queues">All queues</a>}>
      <div class="table-wrap">
        <table class="table">
          <thead><tr><th>Queue</th><th class="right">Pending</th><th class="right">Running</th><th class="right">Sleeping</th><th class="right">Oldest waits</th><th class="fill">Workers</th></tr></thead>
          <tbody>
            {queues.map((queue) => (
              <tr key={queue.queue}>
                <td><a class="strong" href={`/queues/${encodeURIComponent(queue.queue)}`}>{queue.queue}</a> {queue.paused && <Status status="paused" />}</td>
                <td class="right number">{count(queue.depth.pending)}</td>
                <td class="right number">{count(queue.depth.running)}</td>
                <td class="right number">{count(queue.depth.sleeping)}</td>
                <td class="right number">{queue.oldest_pending_seconds === null ? <span class="none">–</span> : duration(queue.oldest_pending_seconds * 1000)}</td>
                <td class="fill cut">{queue.workers.length ? <span title={queue.workers.map((worker) => worker.worker_id).join('\n')}>{queue.workers.slice(0, 4).map((worker) => worker.worker_id).join(', ')}{queue.workers.length > 4 ? ` and ${queue.workers.length - 4} more` : ''}</span> : <span class="faint">nobody seen</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

