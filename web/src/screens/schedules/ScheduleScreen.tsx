// One schedule: its last and its next firings by day, why one is held, and what may be done with it.
import { useEffect, useState } from 'preact/hooks'
import { call, get, Problem, type Schemas } from '../../api'
import { moment, plural } from '../../format'
import { useLive } from '../../live'
import { Button, Empty, Facts, Json, Panel, ProblemNote, Skeleton, Tags } from '../../ui/controls'
import { Confirm } from '../../ui/dialog'
import { Status } from '../../ui/status'
import { Time } from '../../ui/time'
import { Why } from '../../ui/why'
import { Calendar } from './Calendar'
import { ScheduleState } from './Schedules'
import './schedules.css'

type Schedule = Schemas['Schedule']
type Slots = Schemas['ScheduleSlot'][]

const NEXT = 100

export default function ScheduleScreen({ names }: { names: Record<string, string> }) {
  const path = { schedule_id: names['id'] ?? '' }
  const id = path.schedule_id
  const schedule = useLive(`schedule ${id}`, (abort) => get('/v1/schedules/{schedule_id}', { path, abort }), (change) => change.id === id || (change.kind === 'workflow_run' && change.verb !== 'updated'))
  const slots = useLive(`slots ${id}`, (abort) => get('/v1/schedules/{schedule_id}/slots', { path, query: { limit: 200 }, abort }), (change) => change.id === id)
  const next = useLive(`next ${id} ${schedule.data?.revision ?? 0}`, (abort) => get('/v1/schedules/{schedule_id}/next', { path, query: { count: NEXT }, abort }), (change) => change.id === id)
  const why = useLive(`why schedule ${id}`, (abort) => get('/v1/schedules/{schedule_id}/why', { path, abort }), (change) => change.id === id || change.kind === 'workflow_run')
  if (!schedule.data) return <div class="screen">{schedule.problem?.status === 404 ? <Empty title="There is no schedule with this id"><a href="/schedules">All schedules</a></Empty> : schedule.problem ? <ProblemNote problem={schedule.problem} /> : <Skeleton />}</div>
  const one = schedule.data
  const isHeld = why.data?.reasons.some(({ code }) => code === 'held_by_schedule')
  return (
    <div class="screen">
      <Head schedule={one} slots={slots.data?.items ?? []} onDone={() => { schedule.reload(); slots.reload() }} />
      {one.paused_reason && <ProblemNote problem={new Problem(0, '', 'The service paused this schedule', one.paused_reason, '')} />}
      {isHeld && <Why why={why} />}
      <Panel title="Firings" aside="two weeks, in your time">
        {slots.data && next.data ? <Calendar slots={slots.data.items} next={one.paused ? [] : next.data.items} /> : <Skeleton rows={3} />}
      </Panel>
      <Panel>
        <div class="panel-body stack">
          <Facts
            facts={[
              ['Next', <Time at={one.next_fire_at} isAgo />],
              ['Last', <Time at={one.last_fire_at} isAgo />],
              ['Open runs', `${one.active_runs} of at most ${one.max_active_runs}`],
              ['When that many are open', one.overlap === 'wait' ? 'the next waits' : 'the next is skipped'],
              ['Missed ones', one.catchup ? 'are made up for' : 'are left out'],
              ['Queue', <a href={`/queues/${encodeURIComponent(one.queue)}`}>{one.queue}</a>],
              ['Since', <Time at={one.start_at} />],
              !!one.end_at && ['Until', <Time at={one.end_at} />],
              !!one.created_by && ['By', one.created_by],
              Object.keys(one.tags).length > 0 && ['Tags', <Tags tags={one.tags} />],
            ]}
          />
          <Json value={one.inputs} label="inputs" />
        </div>
      </Panel>
      <Past slots={slots.data?.items} />
    </div>
  )
}

function Head({ schedule, slots, onDone }: { schedule: Schedule; slots: Slots; onDone: () => void }) {
  const [asked, ask] = useState<'pause' | 'backfill'>()
  const close = () => { ask(undefined); onDone() }
  const path = { schedule_id: schedule.schedule_id }
  return (
    <header class="screen-head">
      <div class="grow">
        <div class="crumbs"><a href="/schedules">Schedules</a></div>
        <h1><a href={`/workflows/${schedule.workflow_name}`}>{schedule.workflow_name}</a></h1>
        <div class="row soft"><ScheduleState schedule={schedule} /><code>{schedule.cron}</code><span>{schedule.timezone}</span><span>version {schedule.workflow_version ?? 'newest'}</span></div>
      </div>
      <div class="row">
        <Button onClick={() => ask('backfill')}>Backfill</Button>
        <Button icon={schedule.paused ? 'running' : 'paused'} onClick={() => ask('pause')}>{schedule.paused ? 'Resume' : 'Pause'}</Button>
      </div>
      {asked === 'pause' && !schedule.paused && (
        <Confirm title={`Pause ${schedule.workflow_name}?`} verb="Pause" onClose={close} onDo={() => call('post', '/v1/schedules/{schedule_id}/pause', { path })}>
          <p>No run begins by it any more; the <strong>{schedule.active_runs}</strong> that are open go on.</p>
        </Confirm>
      )}
      {asked === 'pause' && schedule.paused && (
        <Confirm title={`Resume ${schedule.workflow_name}?`} verb="Resume" onClose={close} onDo={() => call('post', '/v1/schedules/{schedule_id}/resume', { path })}>
          <p>Runs begin again by <code>{schedule.cron}</code>. What was missed meanwhile {schedule.catchup ? <strong>is made up for</strong> : 'is left out'}.</p>
        </Confirm>
      )}
      {asked === 'backfill' && <Backfill schedule={schedule} slots={slots} onClose={close} />}
    </header>
  )
}

const DAY = 86_400_000
const local = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16)

function Backfill({ schedule, slots, onClose }: { schedule: Schedule; slots: Slots; onClose: () => void }) {
  const [from, setFrom] = useState(local(Date.now() - DAY))
  const [to, setTo] = useState(local(Date.now()))
  const [found, setFound] = useState<string[]>()
  const [problem, setProblem] = useState<Problem>()
  const path = { schedule_id: schedule.schedule_id }
  const [start, end] = [Date.parse(from), Date.parse(to)]
  const isGood = !Number.isNaN(start) && !Number.isNaN(end) && start < end
  useEffect(() => {
    if (!isGood) return
    setFound(undefined)
    // What lies exactly on the start belongs to it: firings are asked for after a moment before.
    get('/v1/schedules/{schedule_id}/next', { path, query: { count: NEXT, after: new Date(start - 1).toISOString() } }).then(
      ({ items }) => setFound(items.map(({ fire_at }) => fire_at).filter((at) => Date.parse(at) < end)),
      (failure: unknown) => failure instanceof Problem && setProblem(failure),
    )
  }, [from, to])
  const full = new Set(slots.filter(({ workflow_run_id }) => workflow_run_id).map(({ fire_at }) => Date.parse(fire_at)))
  const lacking = found?.filter((at) => !full.has(Date.parse(at)))
  const body = { start: isGood ? new Date(start).toISOString() : '', end: isGood ? new Date(end).toISOString() : '' }
  return (
    <Confirm title={`Backfill ${schedule.workflow_name}`} verb="Start these runs" onClose={onClose} onDo={() => call('post', '/v1/schedules/{schedule_id}/backfill', { path, body })}>
      <p>One run for each firing in this time that has none; at most {plural(schedule.max_active_runs, 'run')} at once.</p>
      <div class="span">
        <label class="field"><span>From</span><input class="input" type="datetime-local" value={from} onInput={(event) => setFrom(event.currentTarget.value)} /></label>
        <label class="field"><span>Until before</span><input class="input" type="datetime-local" value={to} onInput={(event) => setTo(event.currentTarget.value)} /></label>
      </div>
      {!isGood && <p class="problem">The end must be after the start.</p>}
      <ProblemNote problem={problem} />
      {isGood && lacking && (
        <div class="stack" aria-live="polite">
          <p><strong>{plural(lacking.length, 'run')}{found?.length === NEXT ? ' or more' : ''}</strong> would start{found && found.length > lacking.length && <>; {plural(found.length - lacking.length, 'firing')} already had one</>}.</p>
          {lacking.length > 0 && <ul class="preview">{lacking.slice(0, 8).map((at) => <li key={at}>{moment(at)}</li>)}{lacking.length > 8 && <li class="faint">… until {moment(lacking.at(-1) ?? '')}</li>}</ul>}
        </div>
      )}
    </Confirm>
  )
}

function Past({ slots }: { slots: Slots | undefined }) {
  if (!slots) return <Skeleton rows={3} />
  if (!slots.length) return <Panel title="Past firings"><p class="panel-body faint">None yet.</p></Panel>
  return (
    <Panel title="Past firings">
      <div class="table-wrap">
        <table class="table">
          <thead><tr><th>Due</th><th>What became of it</th><th>Run</th></tr></thead>
          <tbody>
            {slots.slice(0, 30).map((slot) => (
              <tr key={slot.fire_at}>
                <td><Time at={slot.fire_at} /></td><td><Status status={slot.outcome} /></td>
                <td class="fill">{slot.workflow_run_id ? <a href={`/runs/${slot.workflow_run_id}`}><code>{slot.workflow_run_id.slice(-12)}</code></a> : <span class="none">–</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}
