// All schedules: what begins when, what held one back, and whether any is paused.
import { get, type Schemas } from '../../api'
import { useLive } from '../../live'
import { parameter, withParameters } from '../../router'
import { Empty, Panel, ProblemNote, Skeleton } from '../../ui/controls'
import { Status } from '../../ui/status'
import { Time } from '../../ui/time'
import './schedules.css'

type Schedule = Schemas['Schedule']

const CURL = () => `curl --json '{"workflow_name": "nightly", "cron": "0 2 * * *", "timezone": "Europe/Berlin"}' ${location.origin}/v1/schedules`

export default function Schedules() {
  const isPausedOnly = parameter('paused') === 'true'
  const schedules = useLive(
    `schedules ${isPausedOnly}`,
    (abort) => get('/v1/schedules', { query: { limit: 200, ...(isPausedOnly ? { paused: true } : {}) }, abort }),
    (change) => change.kind === 'schedule' || (change.kind === 'workflow_run' && change.verb !== 'updated'),
  )
  return (
    <div class="screen">
      <header class="screen-head">
        <h1 class="grow">Schedules</h1>
        <a class="button" aria-current={isPausedOnly ? 'true' : undefined} href={withParameters({ paused: isPausedOnly ? undefined : 'true' })}>{isPausedOnly ? 'Show all' : 'Only paused'}</a>
      </header>
      <ProblemNote problem={schedules.problem} />
      {schedules.isLoading && <Panel><Skeleton /></Panel>}
      {schedules.data?.items.length === 0 && <Panel><Empty title={isPausedOnly ? 'None is paused' : 'No schedules yet'} curl={CURL()}>A definition that has a schedule brings its own when it is registered.</Empty></Panel>}
      {!!schedules.data?.items.length && (
        <Panel>
          <div class="table-wrap">
            <table class="table">
              <thead><tr><th>Workflow</th><th>State</th><th>When</th><th>Next</th><th>Last</th><th class="right">Open runs</th></tr></thead>
              <tbody>
                {schedules.data.items.map((one) => (
                  <tr key={one.schedule_id}>
                    <td><a href={`/schedules/${one.schedule_id}`}><strong>{one.workflow_name}</strong></a> <code class="soft">{one.workflow_version ?? ''}</code></td>
                    <td><ScheduleState schedule={one} /></td>
                    <td class="fill cut"><code>{one.cron}</code> <span class="soft">{one.timezone}</span></td>
                    <td><Time at={one.next_fire_at} isAgo /></td><td><Time at={one.last_fire_at} isAgo /></td>
                    <td class="right number">{one.active_runs}<span class="faint"> / {one.max_active_runs}</span></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Panel>
      )}
    </div>
  )
}

export function ScheduleState({ schedule }: { schedule: Schedule }) {
  if (schedule.paused) return <Status status="paused" {...(schedule.paused_reason ? { says: 'paused by the service' } : {})} />
  if (!schedule.next_fire_at) return <Status status="skipped" says="over" />
  if (Date.parse(schedule.next_fire_at) < Date.now() - 5000) return <Status status="late" says="held" />
  return <Status status="ok" says="active" />
}
