// One queue: what waits, runs and sleeps in it, who works there and with what, and its limits.
import { useState } from 'preact/hooks'
import { call, get, type Queue, type Schemas, type Task } from '../../api'
import { count, errorLine } from '../../format'
import { useLive } from '../../live'
import { parameter, withParameters } from '../../router'
import { Button, Empty, Facts, Id, Panel, ProblemNote, Skeleton } from '../../ui/controls'
import { Confirm } from '../../ui/dialog'
import { Status } from '../../ui/status'
import { Duration, Time } from '../../ui/time'
import { Depth, QueueState, Waits } from './Queues'
import './queues.css'

type Update = Schemas['QueueUpdate']
const STATUSES = ['pending', 'running', 'sleeping', 'failed', 'completed', 'cancelled'] as const

export default function QueueScreen({ names }: { names: Record<string, string> }) {
  const name = names['name'] ?? ''
  const concerns = (change: { queue: string | null; kind: string; id: string }) => change.queue === name || (change.kind === 'queue' && change.id === name)
  const queue = useLive(`queue ${name}`, (abort) => get('/v1/queues/{queue}', { path: { queue: name }, abort }), concerns)
  const held = useLive(`queue held ${name}`, (abort) => get('/v1/tasks', { query: { queue: name, status: ['running'], limit: 200 }, abort }), concerns)
  if (!queue.data) return <div class="screen">{queue.problem?.status === 404 ? <Unknown name={name} /> : queue.problem ? <ProblemNote problem={queue.problem} /> : <Skeleton />}</div>
  return (
    <div class="screen">
      <Head queue={queue.data} />
      <ProblemNote problem={queue.problem} />
      <Panel>
        <div class="panel-body stack">
          <Depth depth={queue.data.depth} most={Math.max(1, queue.data.depth.pending + queue.data.depth.running + queue.data.depth.sleeping)} />
          <Facts
            facts={[
              ['Pending', <Tasks queue={name} status="pending" value={queue.data.depth.pending} />],
              ['Running', <><Tasks queue={name} status="running" value={queue.data.depth.running} />{queue.data.max_concurrency !== null && ` of at most ${count(queue.data.max_concurrency)}`}</>],
              ['Sleeping', <Tasks queue={name} status="sleeping" value={queue.data.depth.sleeping} />],
              ['Oldest waits', <Waits seconds={queue.data.oldest_pending_seconds} />],
              ['Lease', `${queue.data.default_lease_seconds} s`],
              ['Keeps ended tasks', queue.data.retention_seconds === null ? 'as the service does' : `${count(queue.data.retention_seconds)} s`],
            ]}
          />
        </div>
      </Panel>
      <Workers queue={queue.data} held={held.data?.items} />
      <TaskList queue={name} />
    </div>
  )
}

const Tasks = ({ value, status }: { queue: string; value: number; status: string }) => <a href={withParameters({ status })}>{count(value)}</a>

function Unknown({ name }: { name: string }) {
  return <Empty title={`There is no queue ${name}`} curl={`curl --json '{"task_name": "hello", "queue": "${name}"}' ${location.origin}/v1/tasks`}>A queue is made when something is put into it.</Empty>
}

const change = (queue: string, update: Update) =>
  call('patch', '/v1/queues/{queue}', { path: { queue }, text: { type: 'application/merge-patch+json', value: JSON.stringify(update) } })

function Head({ queue }: { queue: Queue }) {
  const [asked, ask] = useState<'pause' | 'limits'>()
  const close = () => ask(undefined)
  return (
    <header class="screen-head">
      <div class="grow">
        <div class="crumbs"><a href="/queues">Queues</a></div>
        <h1>{queue.queue}</h1>
        <QueueState queue={queue} />
      </div>
      <div class="row">
        <Button onClick={() => ask('limits')}>Limits</Button>
        <Button icon={queue.paused ? 'running' : 'paused'} onClick={() => ask('pause')}>{queue.paused ? 'Resume' : 'Pause'}</Button>
      </div>
      {asked === 'pause' && (
        <Confirm title={`${queue.paused ? 'Resume' : 'Pause'} ${queue.queue}?`} verb={queue.paused ? 'Resume' : 'Pause'} onClose={close} onDo={() => change(queue.queue, { paused: !queue.paused })}>
          {queue.paused
            ? <p>Workers get tasks again: <strong>{count(queue.depth.pending)}</strong> are pending.</p>
            : <p>No task is handed out any more: <strong>{count(queue.depth.pending)}</strong> pending ones wait. The <strong>{count(queue.depth.running)}</strong> that run go on to their end, and new ones are taken in.</p>}
        </Confirm>
      )}
      {asked === 'limits' && <Limits queue={queue} onClose={close} />}
    </header>
  )
}

function Limits({ queue, onClose }: { queue: Queue; onClose: () => void }) {
  const [most, setMost] = useState(queue.max_concurrency === null ? '' : String(queue.max_concurrency))
  const [lease, setLease] = useState(String(queue.default_lease_seconds))
  const [kept, setKept] = useState(queue.retention_seconds === null ? '' : String(queue.retention_seconds))
  const save = () => change(queue.queue, {
    max_concurrency: most === '' ? null : Number(most), default_lease_seconds: Number(lease), retention_seconds: kept === '' ? null : Number(kept),
  })
  const running = queue.depth.running
  return (
    <Confirm title={`Limits of ${queue.queue}`} verb="Save" onClose={onClose} onDo={save}>
      <label class="field"><span>Tasks that run at once, over all workers; empty: as many as are asked for</span><input class="input" inputMode="numeric" value={most} onInput={(event) => setMost(event.currentTarget.value.trim())} /></label>
      <label class="field"><span>Seconds of a lease, where a worker asks for none</span><input class="input" inputMode="decimal" value={lease} onInput={(event) => setLease(event.currentTarget.value.trim())} /></label>
      <label class="field"><span>Seconds that ended tasks are kept; empty: as the service does</span><input class="input" inputMode="numeric" value={kept} onInput={(event) => setKept(event.currentTarget.value.trim())} /></label>
      {most !== '' && Number(most) < running && <p><strong>{running}</strong> run now: none is stopped, and no other begins until fewer than {most} do.</p>}
    </Confirm>
  )
}

function Workers({ queue, held }: { queue: Queue; held: Task[] | undefined }) {
  const holding = new Map<string, Task[]>()
  for (const task of held ?? []) if (task.claimed_by) holding.set(task.claimed_by, [...(holding.get(task.claimed_by) ?? []), task])
  const seen = new Map(queue.workers.map((worker) => [worker.worker_id, worker]))
  const ids = [...new Set([...seen.keys(), ...holding.keys()])].sort()
  return (
    <Panel title="Workers" aside={ids.length || undefined}>
      {!ids.length && <Empty title="No worker is seen here" curl={`milepost worker --functions MODULE --queue ${queue.queue} --url ${location.origin}`}>{queue.depth.pending ? `${count(queue.depth.pending)} tasks wait for one.` : 'One is seen while it asks for tasks or holds one.'}</Empty>}
      {ids.length > 0 && (
        <div class="table-wrap">
          <table class="table">
            <thead><tr><th>Worker</th><th>Seen</th><th>Takes</th><th>Holds</th></tr></thead>
            <tbody>
              {ids.map((id) => (
                <tr key={id}>
                  <td><code>{id}</code></td>
                  <td><Time at={seen.get(id)?.seen_at} isAgo /></td>
                  <td class="soft takes">{seen.get(id)?.task_names?.join(', ') ?? 'anything'}</td>
                  <td class="fill"><Holds tasks={holding.get(id) ?? []} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  )
}

const HELD_MOST = 5

function Holds({ tasks }: { tasks: Task[] }) {
  if (!tasks.length) return <span class="none">nothing</span>
  return (
    <span class="row holds">
      {tasks.slice(0, HELD_MOST).map((task) => <a key={task.task_id} class="tag" href={`/tasks/${task.task_id}`}>{task.task_name}</a>)}
      {tasks.length > HELD_MOST && <span class="soft">and {tasks.length - HELD_MOST} more</span>}
    </span>
  )
}

function TaskList({ queue }: { queue: string }) {
  const status = STATUSES.find((one) => one === parameter('status')) ?? 'pending'
  const tasks = useLive(`queue tasks ${queue} ${status}`, (abort) => get('/v1/tasks', { query: { queue, status: [status], limit: 50 }, abort }), (news) => news.queue === queue)
  return (
    <Panel title="Tasks" aside={<span class="chips" role="group" aria-label="Status of the tasks">{STATUSES.map((one) => <a key={one} class="chip" href={withParameters({ status: one === 'pending' ? undefined : one })} aria-current={one === status ? 'true' : undefined}>{one}</a>)}</span>}>
      <ProblemNote problem={tasks.problem} />
      {tasks.isLoading && <Skeleton rows={4} />}
      {tasks.data?.items.length === 0 && <p class="panel-body faint">No {status} tasks.</p>}
      {!!tasks.data?.items.length && (
        <div class="table-wrap">
          <table class="table">
            <thead><tr><th>Task</th><th>Id</th><th>Status</th><th>Attempt</th><th>Created</th><th>Took</th><th>Error</th></tr></thead>
            <tbody>
              {tasks.data.items.map((task) => (
                <tr key={task.task_id}>
                  <td><a href={`/tasks/${task.task_id}`}><strong>{task.task_name}</strong></a></td><td><Id id={task.task_id} /></td><td><Status status={task.status} /></td>
                  <td class="number">{task.attempt}</td><td><Time at={task.created_at} isAgo /></td>
                  <td><Duration from={task.first_started_at} to={task.completed_at} /></td><td class="fill cut soft">{errorLine(task.error)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {tasks.data?.next_cursor && <p class="panel-body faint">The newest 50. All: <code>GET /v1/tasks?queue={queue}&status={status}</code></p>}
    </Panel>
  )
}
