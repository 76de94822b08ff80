// One task: where it stands and why, each attempt with its error, and what it was given, stored and returned.
import { useState } from 'preact/hooks'
import { call, get, type Attempt, type Schemas, type Task } from '../../api'
import { now } from '../../clock'
import { errorLine, plural, ticking } from '../../format'
import { useLive } from '../../live'
import { currentTab, Tabs, Empty, Facts, Id, Json, Panel, ProblemNote, Skeleton, Button } from '../../ui/controls'
import { Confirm } from '../../ui/dialog'
import { Status } from '../../ui/status'
import { Duration, Time } from '../../ui/time'
import { Why } from '../../ui/why'
import { navigate } from '../../router'
import { Logs } from '../run/Logs'
import './task.css'

const OPEN = new Set(['pending', 'running', 'sleeping'])

export default function TaskScreen({ names }: { names: Record<string, string> }) {
  const id = names['id'] ?? ''
  const concerns = (change: { kind: string; id: string }) => change.id === id
  const path = { task_id: id }
  const task = useLive(`task ${id}`, (abort) => get('/v1/tasks/{task_id}', { path, abort }), concerns)
  const attempts = useLive(`attempts ${id}`, (abort) => get('/v1/tasks/{task_id}/attempts', { path, query: { limit: 200 }, abort }), concerns)
  const checkpoints = useLive(`checkpoints ${id}`, (abort) => get('/v1/tasks/{task_id}/checkpoints', { path, query: { limit: 200 }, abort }), concerns)
  const isOpen = OPEN.has(task.data?.status ?? '')
  const why = useLive(isOpen ? `why ${id}` : '', (abort) => get('/v1/tasks/{task_id}/why', { path, abort }), (change) => change.id === id || change.queue === task.data?.queue)
  if (!task.data) return <div class="screen">{task.problem ? <Missing problem={task.problem} id={id} /> : <Skeleton />}</div>
  const tabs = [
    { name: 'attempts', title: 'Attempts', count: attempts.data?.items.length },
    { name: 'logs', title: 'Logs' },
    { name: 'data', title: 'Params and result' },
    { name: 'checkpoints', title: 'Checkpoints', count: checkpoints.data?.items.length },
  ]
  const tab = currentTab(tabs)
  return (
    <div class="screen">
      <Head task={task.data} />
      <ProblemNote problem={task.problem ?? attempts.problem} />
      {isOpen && <Why why={why} />}
      <State task={task.data} />
      <Tabs tabs={tabs} current={tab} />
      {tab === 'attempts' && (attempts.data ? <Attempts attempts={attempts.data.items} /> : <Skeleton rows={3} />)}
      {tab === 'logs' && <Panel><Logs of="task" id={task.data.task_id} /></Panel>}
      {tab === 'data' && <Data task={task.data} />}
      {tab === 'checkpoints' && <Checkpoints items={checkpoints.data?.items} />}
    </div>
  )
}

function Missing({ problem, id }: { problem: Parameters<typeof ProblemNote>[0]['problem']; id: string }) {
  if (problem?.status !== 404) return <ProblemNote problem={problem} />
  return <Empty title="There is no task with this id" curl={`curl ${location.origin}/v1/tasks/${id}`}>It may have been deleted with its run, or after the time its queue keeps tasks.</Empty>
}

function Head({ task }: { task: Task }) {
  const [asked, ask] = useState<'cancel' | 'retry'>()
  const isOpen = OPEN.has(task.status)
  const canRetry = task.status === 'failed' || task.status === 'cancelled'
  return (
    <header class="screen-head">
      <div class="grow">
        <div class="crumbs">
          {task.workflow_run_id && <><a href={`/runs/${task.workflow_run_id}`}>Run</a><span>/</span></>}
          <a href={`/queues/${encodeURIComponent(task.queue)}`}>{task.queue}</a><span>/</span><span>Task</span>
        </div>
        <h1>{task.task_name}</h1>
        <div class="row soft"><Status status={task.status} /><Id id={task.task_id} /><span>attempt {task.attempt} of {task.max_attempts + task.lost_count}</span></div>
      </div>
      <div class="row">
        {canRetry && <Button icon="retry" onClick={() => ask('retry')}>Retry</Button>}
        {isOpen && <Button variant="danger" onClick={() => ask('cancel')}>Cancel</Button>}
      </div>
      {asked === 'cancel' && <Cancel task={task} onClose={() => ask(undefined)} />}
      {asked === 'retry' && <Retry task={task} onClose={() => ask(undefined)} />}
    </header>
  )
}

function Cancel({ task, onClose }: { task: Task; onClose: () => void }) {
  return (
    <Confirm title={`Cancel ${task.task_name}?`} verb="Cancel the task" isDangerous onClose={onClose} onDo={() => call('post', '/v1/tasks/{task_id}/cancel', { path: { task_id: task.task_id } })}>
      <p>The task becomes <strong>cancelled</strong> at once and is not tried again.</p>
      {task.status === 'running' && <p><code>{task.claimed_by}</code> is working it: it learns of this by its next call, and what it reports afterwards is not applied.</p>}
    </Confirm>
  )
}

function Retry({ task, onClose }: { task: Task; onClose: () => void }) {
  const [isNew, setNew] = useState(false)
  const retry = async () => {
    const made = await call('post', '/v1/tasks/{task_id}/retry', { path: { task_id: task.task_id }, body: { spawn_new: isNew } })
    if (made.task_id !== task.task_id) navigate(`/tasks/${made.task_id}`)
  }
  return (
    <Confirm title={`Retry ${task.task_name}?`} verb="Retry" onClose={onClose} onDo={retry}>
      <label class="check"><input type="radio" name="how" checked={!isNew} onChange={() => setNew(false)} />As attempt {task.attempt + 1} of this task: its checkpoints stay</label>
      <label class="check"><input type="radio" name="how" checked={isNew} onChange={() => setNew(true)} />As a new task with the same params: nothing is remembered</label>
      <p>It becomes <strong>pending</strong> on <code>{task.queue}</code>, for the next worker there that asks.</p>
    </Confirm>
  )
}

function State({ task }: { task: Task }) {
  const lease = task.lease_expires_at ? Date.parse(task.lease_expires_at) - now.value : undefined
  const waits = task.status === 'sleeping' || Date.parse(task.available_at) > now.value
  return (
    <Panel>
      <div class="panel-body stack">
        {task.error && task.status !== 'completed' && <p class="task-error"><Status status="failed" says={errorLine(task.error)} /></p>}
        <Facts
          facts={[
            !!task.reason && ['Reason', task.reason.replaceAll('_', ' ')],
            !!task.claimed_by && ['Worker', <code>{task.claimed_by}</code>],
            lease !== undefined && ['Lease', lease > 0 ? `ends in ${ticking(lease)}` : 'has run out'],
            !!task.cancel_requested_at && ['Cancel requested', <Time at={task.cancel_requested_at} isAgo />],
            waits && !!task.wake_at && ['Wakes', <Time at={task.wake_at} isAgo />],
            waits && !!task.wake_event && ['Waits for', <code>{task.wake_event}</code>],
            task.status === 'pending' && Date.parse(task.available_at) > now.value && ['Due', <Time at={task.available_at} isAgo />],
            ['Created', <Time at={task.created_at} />],
            ['Waited', <Duration from={task.created_at} to={task.first_started_at ?? task.completed_at} />],
            !!task.first_started_at && ['Took', <Duration from={task.first_started_at} to={task.completed_at} />],
            ['Queue', <a href={`/queues/${encodeURIComponent(task.queue)}`}>{task.queue}</a>],
            !!task.step && ['Step', <code>{task.step}</code>],
            task.priority !== 0 && ['Priority', String(task.priority)],
            task.lost_count > 0 && ['Lost', plural(task.lost_count, 'attempt')],
            !!task.concurrency_key && ['Concurrency key', <code>{task.concurrency_key}</code>],
            !!task.idempotency_key && ['Idempotency key', <code>{task.idempotency_key}</code>],
            !!task.parent_task_id && ['Parent', <a href={`/tasks/${task.parent_task_id}`}><code>{task.parent_task_id.slice(-12)}</code></a>],
          ]}
        />
        {task.progress !== null && <Json value={task.progress} label="progress" />}
      </div>
    </Panel>
  )
}

function Attempts({ attempts }: { attempts: Attempt[] }) {
  return (
    <ol class="attempts">
      {attempts.toReversed().map((attempt) => (
        <li key={attempt.run_id} class="panel">
          <div class="attempt-head">
            <strong>Attempt {attempt.attempt}</strong><Status status={attempt.status} />
            {attempt.reason && <span class="soft">{attempt.reason.replaceAll('_', ' ')}</span>}
            {attempt.claimed_by && <code class="cut">{attempt.claimed_by}</code>}
            <span class="attempt-time soft">{attempt.started_at ? <><Time at={attempt.started_at} /> · <Duration from={attempt.started_at} to={attempt.ended_at} /></> : 'not started'}</span>
          </div>
          {attempt.error && <AttemptError error={attempt.error} />}
          {attempt.late_reports.length > 0 && (
            <details class="panel-body">
              <summary>{plural(attempt.late_reports.length, 'late report')}, kept and never applied</summary>
              {attempt.late_reports.map((report) => (
                <div key={report.at + report.call} class="stack late-report">
                  <p class="soft"><Time at={report.at} /> <code>{report.call}</code> by the lease that ends in <code>{report.lease_token_suffix}</code></p>
                  <Json value={report.body} label={`late report ${report.call}`} />
                </div>
              ))}
            </details>
          )}
        </li>
      ))}
    </ol>
  )
}

function AttemptError({ error }: { error: Record<string, unknown> }) {
  const trace = error['traceback'] ?? error['stack'] ?? error['stacktrace']
  const known = new Set(['message', 'name', 'type', 'traceback', 'stack', 'stacktrace'])
  const rest = Object.fromEntries(Object.entries(error).filter(([name]) => !known.has(name)))
  return (
    <div class="panel-body stack">
      <p class="attempt-message">{errorLine(error)}</p>
      {trace !== undefined && <pre class="trace" tabIndex={0} aria-label="Traceback">{Array.isArray(trace) ? trace.join('\n') : String(trace)}</pre>}
      {Object.keys(rest).length > 0 && <Json value={rest} label="more of the error" />}
    </div>
  )
}

function Data({ task }: { task: Task }) {
  return (
    <div class="pair">
      <Panel title="Params"><div class="panel-body"><Json value={task.params} label="params" /></div></Panel>
      <Panel title="Result"><div class="panel-body">{task.status === 'completed' ? <Json value={task.result} label="result" /> : <p class="faint">None yet: it is {task.status}.</p>}</div></Panel>
      {Object.keys(task.headers).length > 0 && <Panel title="Headers"><div class="panel-body"><Json value={task.headers} label="headers" /></div></Panel>}
      {task.retry_strategy && <Panel title="Retries"><div class="panel-body"><Json value={task.retry_strategy} label="retry strategy" /></div></Panel>}
    </div>
  )
}

function Checkpoints({ items }: { items: Schemas['Checkpoint'][] | undefined }) {
  if (!items) return <Skeleton rows={3} />
  if (!items.length) return <Empty title="No checkpoints">A handler stores one for each <code>ctx.step(name, ...)</code>; a later attempt finds them again.</Empty>
  return (
    <Panel>
      {items.map((one) => (
        <details key={one.name} class="checkpoint">
          <summary><code class="grow cut">{one.name}</code><span class="faint">attempt {one.attempt}, <Time at={one.updated_at} /></span></summary>
          <Json value={one.state} label={one.name} />
        </details>
      ))}
    </Panel>
  )
}
