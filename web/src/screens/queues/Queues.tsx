// All queues: how much waits in each, for how long, and who works there.
import { get, type Queue } from '../../api'
import { count, plural, ticking } from '../../format'
import { useLive } from '../../live'
import { Empty, Panel, ProblemNote, Skeleton } from '../../ui/controls'
import { Status } from '../../ui/status'
import './queues.css'

const CURL = () => `curl --json '{"task_name": "hello"}' ${location.origin}/v1/tasks`

export default function Queues() {
  const queues = useLive('queues', (abort) => get('/v1/queues', { query: { limit: 200 }, abort }), (change) => change.kind === 'task' || change.kind === 'queue')
  return (
    <div class="screen">
      <header class="screen-head"><h1>Queues</h1></header>
      <ProblemNote problem={queues.problem} />
      {queues.isLoading && <Panel><Skeleton /></Panel>}
      {queues.data?.items.length === 0 && <Panel><Empty title="No queues yet" curl={CURL()}>A queue is made when something is put into it.</Empty></Panel>}
      {!!queues.data?.items.length && <List queues={queues.data.items} />}
    </div>
  )
}

function List({ queues }: { queues: Queue[] }) {
  const most = Math.max(1, ...queues.map(({ depth }) => depth.pending + depth.running + depth.sleeping))
  return (
    <Panel>
      <div class="table-wrap">
        <table class="table queues">
          <thead><tr><th>Queue</th><th>State</th><th class="fill-head">Depth</th><th class="right">Pending</th><th class="right">Running</th><th class="right">Sleeping</th><th class="right">Oldest waits</th><th class="right">Workers</th></tr></thead>
          <tbody>{queues.map((queue) => <Row key={queue.queue} queue={queue} most={most} />)}</tbody>
        </table>
      </div>
    </Panel>
  )
}

/** What somebody should know of a queue in one word. */
export function QueueState({ queue }: { queue: Queue }) {
  if (queue.paused) return <Status status="paused" />
  if (queue.depth.pending > 0 && !queue.workers.length) return <Status status="late" says="no worker" />
  if (queue.max_concurrency !== null && queue.depth.running >= queue.max_concurrency && queue.depth.pending > 0) return <Status status="late" says="full" />
  return queue.depth.running ? <Status status="running" says="working" /> : <Status status="ok" says="idle" />
}

function Row({ queue, most }: { queue: Queue; most: number }) {
  const { depth } = queue
  return (
    <tr>
      <td><a href={`/queues/${encodeURIComponent(queue.queue)}`}><strong>{queue.queue}</strong></a></td>
      <td><QueueState queue={queue} /></td>
      <td class="fill"><Depth depth={depth} most={most} /></td>
      <td class="right number">{count(depth.pending)}</td>
      <td class="right number">{count(depth.running)}{queue.max_concurrency !== null && <span class="faint"> / {count(queue.max_concurrency)}</span>}</td>
      <td class="right number">{count(depth.sleeping)}</td>
      <td class="right number"><Waits seconds={queue.oldest_pending_seconds} /></td>
      <td class="right number">{queue.workers.length || <span class="none">–</span>}</td>
    </tr>
  )
}

export function Waits({ seconds }: { seconds: number | null }) {
  return seconds === null ? <span class="none">–</span> : <>{ticking(seconds * 1000)}</>
}

export function Depth({ depth, most }: { depth: Queue['depth']; most: number }) {
  const says = `${plural(depth.running, 'task')} running, ${depth.pending} pending, ${depth.sleeping} sleeping`
  const parts = [['busy', depth.running], ['wait', depth.pending], ['rest', depth.sleeping]] as const
  return (
    <span class="depth" role="img" aria-label={says} title={says}>
      {parts.map(([tone, value]) => value > 0 && <i key={tone} class={tone} style={{ width: `${Math.max(0.8, (100 * value) / most)}%` }} />)}
    </span>
  )
}
