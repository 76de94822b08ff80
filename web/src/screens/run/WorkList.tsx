// The steps or tasks of a run as a table, of which only what is seen is drawn.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Run } from '../../api'
import { errorLine, px } from '../../format'
import { parameter, setParameters } from '../../router'
import { Button, Empty } from '../../ui/controls'
import { Status } from '../../ui/status'
import { Duration, Time } from '../../ui/time'
import { rowsOf, type Row } from './rows'
import type { Work } from './tasks'

const ROW = 34
const SPARE_ROWS = 8

export default function WorkList({ run, work }: { run: Run; work: Work }) {
  const wanted = parameter('work_status')
  const rows = useMemo(() => rowsOf(work), [work])
  const counts = useMemo(() => countBy(rows), [rows])
  const shown = wanted ? rows.filter((row) => row.status === wanted) : rows
  const [top, setTop] = useState(0)
  const [height, setHeight] = useState(600)
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => setHeight(box.current?.clientHeight ?? 600), [shown.length === 0])
  if (work.isWhole && rows.length === 0) {
    return <Empty title="No tasks" curl={`curl --json '{"task_name": "load"}' ${location.origin}/v1/workflow-runs/${run.workflow_run_id}/tasks`}>A task that is linked to this run is listed here.</Empty>
  }
  const first = Math.max(0, Math.floor(top / ROW) - SPARE_ROWS)
  const seen = shown.slice(first, Math.ceil((top + height) / ROW) + SPARE_ROWS)
  return (
    <div>
      <div class="row filters">
        <Button class="small" aria-pressed={!wanted} onClick={() => setParameters({ work_status: undefined })}>All <span class="badge">{rows.length}</span></Button>
        {[...counts].map(([status, length]) => (
          <Button key={status} class="small" aria-pressed={wanted === status} onClick={() => setParameters({ work_status: status })}>
            {status.replaceAll('_', ' ')} <span class="badge">{length}</span>
          </Button>
        ))}
      </div>
      <div ref={box} class="work" tabIndex={0} role="region" aria-label="Tasks" onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
        <div style={{ height: px(shown.length * ROW), position: 'relative' }}>
          {seen.map((row, at) => <WorkRow key={row.id} row={row} top={(first + at) * ROW} isFlat={!!wanted} />)}
        </div>
      </div>
    </div>
  )
}

function WorkRow({ row, top, isFlat }: { row: Row; top: number; isFlat: boolean }) {
  const error = row.task?.error ?? (row.step?.error as Record<string, unknown> | null | undefined)
  const began = row.task?.first_started_at ?? row.step?.started_at
  const ended = row.task?.completed_at ?? row.task?.cancelled_at ?? row.step?.completed_at
  const name = <span class="cut">{isFlat ? row.id === row.task?.task_id ? row.name : row.id : row.name}</span>
  return (
    <div class="work-row" style={{ top: px(top), height: px(ROW) }}>
      <span class="work-status"><Status status={row.status} /></span>
      <span class="work-name" style={{ paddingLeft: px(isFlat ? 0 : Math.min(row.depth, 6) * 14) }}>
        {row.to ? <a href={row.to} class="cut">{name}</a> : name}
        {row.step && <span class="faint work-kind">{row.step.operator_type.replaceAll('_', ' ')}</span>}
      </span>
      <span class="work-error cut faint" title={errorLine(error)}>{errorLine(error)}</span>
      <span class="work-number faint">{row.attempt > 1 ? `attempt ${row.attempt}` : ''}</span>
      <span class="work-worker cut faint">{row.task?.claimed_by ?? ''}</span>
      <span class="work-time"><Time at={began} /></span>
      <span class="work-number"><Duration from={began} to={ended} /></span>
    </div>
  )
}

function countBy(rows: readonly Row[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { status } of rows) counts.set(status, (counts.get(status) ?? 0) + 1)
  return counts
}
