// How many runs were created in a period and what became of them: counts by status, and a small chart.
import { get, type RunStatus } from '../../api'
import { count, moment, plural } from '../../format'
import { useLive } from '../../live'
import { Panel } from '../../ui/controls'
import { Status, tone } from '../../ui/status'

const STATUSES: readonly RunStatus[] = ['failed', 'running', 'pending', 'completed', 'cancelled']
const STACKED: readonly RunStatus[] = ['completed', 'cancelled', 'pending', 'running', 'failed']
const BARS = { hour: 12, day: 24, week: 7 } as const
const HEIGHT = 56

type Counts = Partial<Record<RunStatus, number>>
interface Slice {
  from: number
  to: number
  counts: Counts
}

export function Activity({ period, seconds }: { period: keyof typeof BARS; seconds: number }) {
  const { data } = useLive(`activity ${period}`, (abort) => read(seconds, BARS[period], abort), (change) => change.kind === 'workflow_run')
  const total = data?.reduce<Counts>((sum, { counts }) => {
    for (const status of STATUSES) sum[status] = (sum[status] ?? 0) + (counts[status] ?? 0)
    return sum
  }, {})
  const after = data?.[0] ? new Date(data[0].from).toISOString() : ''
  return (
    <Panel title={`Runs created in the last ${period}`}>
      <div class="activity">
        <div class="numbers">
          {STATUSES.map((status) => (
            <a key={status} href={`/runs?status=${status}&created_after=${encodeURIComponent(after)}`}>
              <strong class={total?.[status] ? tone(status) : 'zero'}>{total ? count(total[status] ?? 0) : '…'}</strong>
              <Status status={status} />
            </a>
          ))}
        </div>
        <Chart slices={data ?? []} />
      </div>
    </Panel>
  )
}

/** Count slice by slice: each slice but the last is over, so it is asked for once while the page lives. */
async function read(seconds: number, bars: number, abort: AbortSignal): Promise<Slice[]> {
  const length = (seconds / bars) * 1000
  const end = Math.ceil(Date.now() / length) * length
  return Promise.all(Array.from({ length: bars }, async (_, at) => {
    const from = end - (bars - at) * length
    const query = { created_after: new Date(from - 1).toISOString(), created_before: new Date(from + length).toISOString() }
    const { counts } = await get('/v1/workflow-runs/counts', { query, abort })
    return { from, to: from + length, counts: Object.fromEntries(counts.map((row) => [row.status, row.count])) }
  }))
}

function Chart({ slices }: { slices: readonly Slice[] }) {
  const sums = slices.map(({ counts }) => STATUSES.reduce((sum, status) => sum + (counts[status] ?? 0), 0))
  const most = Math.max(1, ...sums)
  const first = slices[0]
  const last = slices.at(-1)
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${Math.max(1, slices.length) * 10} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Runs created: ${sums.join(', ')}`}>
        {slices.map(({ from, counts }, at) => {
          let top = HEIGHT
          return (
            <g key={from}>
              <title>{`${moment(from)}: ${plural(sums[at] ?? 0, 'run')}${counts.failed ? `, ${count(counts.failed)} failed` : ''}`}</title>
              <rect class="chart-hit" x={at * 10} y="0" width="10" height={HEIGHT} />
              {STACKED.map((status) => {
                const height = ((counts[status] ?? 0) / most) * (HEIGHT - 4)
                top -= height
                return height > 0 && <rect key={status} class={`bar ${tone(status)}`} x={at * 10 + 1} y={top} width="8" height={Math.max(height, 1)} />
              })}
              {sums[at] === 0 && <rect class="chart-none" x={at * 10 + 1} y={HEIGHT - 1} width="8" height="1" />}
            </g>
          )
        })}
      </svg>
      {first && last && <figcaption class="faint row spread"><span>{moment(first.from)}</span><span>{`most: ${count(most)}`}</span><span>now</span></figcaption>}
    </figure>
  )
}
