// The timeline of a run: a bar for each task or step. Only what is seen is drawn, so ten thousand rows cost what thirty do.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { get, type Attempt, type Run } from '../../api'
import { now } from '../../clock'
import { clock, duration, errorLine, moment, px } from '../../format'
import { useKeys } from '../../keys'
import { navigate, parameter, setParameters } from '../../router'
import { Button, Empty } from '../../ui/controls'
import { tone } from '../../ui/status'
import { Icon } from '../../ui/icons'
import { rowsOf, type Row } from './rows'
import type { Work } from './tasks'

const ROW = 28
const SPARE_ROWS = 6
const SPAN_LEAST_MS = 20
const REST_MS = 250

interface Span {
  from: number
  to: number
}

export default function Timeline({ run, work }: { run: Run; work: Work }) {
  const rows = useMemo(() => rowsOf(work), [work])
  const [chosen, choose] = useChosen()
  const [top, setTop] = useState(0)
  const [size, setSize] = useState({ width: 600, height: 560 })
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => entry && setSize({ width: entry.contentRect.width, height: entry.contentRect.height }))
    if (box.current) watcher.observe(box.current)
    return () => watcher.disconnect()
  }, [rows.length === 0])

  const isOpen = run.completed_at === null
  const whole = useMemo(() => spanOf(run, rows), [run, rows])
  const fit = isOpen ? { from: whole.from, to: Math.max(whole.to, now.value) } : whole
  const padded = { from: fit.from, to: fit.to + (fit.to - fit.from) * 0.03 }
  const span = chosen ?? padded
  const names = size.width < 560 ? 124 : Math.min(300, size.width * 0.28)
  const width = Math.max(80, size.width - names)
  const x = (time: number) => ((time - span.from) / (span.to - span.from)) * width
  const zoom = (factor: number, at = 0.5) => {
    const middle = span.from + (span.to - span.from) * at
    const length = Math.min(Math.max((span.to - span.from) * factor, SPAN_LEAST_MS), (padded.to - padded.from) * 1.5)
    choose({ from: middle - length * at, to: middle + length * (1 - at) })
  }
  const pan = (by: number) => {
    const ms = (span.to - span.from) * by
    choose({ from: span.from + ms, to: span.to + ms })
  }
  useKeys([
    { key: '+', says: 'Timeline: closer', act: () => zoom(0.6) },
    { key: '-', says: 'Timeline: farther', act: () => zoom(1.6) },
    { key: '0', says: 'Timeline: all of it', act: () => choose(undefined) },
    { key: 'ArrowLeft', says: 'Timeline: earlier', act: () => pan(-0.2) },
    { key: 'ArrowRight', says: 'Timeline: later', act: () => pan(0.2) },
  ])
  const wheel = (event: WheelEvent) => {
    if (!event.ctrlKey && !event.shiftKey && !event.altKey) return
    event.preventDefault()
    const left = (box.current?.getBoundingClientRect().left ?? 0) + names
    if (event.shiftKey) pan((event.deltaY || event.deltaX) / 1000)
    else zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, Math.min(1, Math.max(0, (event.clientX - left) / width)))
  }
  const drag = useDrag((dx) => pan(-dx / width))

  const first = Math.max(0, Math.floor(top / ROW) - SPARE_ROWS)
  const seen = rows.slice(first, Math.ceil((top + size.height) / ROW) + SPARE_ROWS)
  const attempts = useAttempts(seen)
  if (!rows.length) {
    return work.isWhole
      ? <Empty title="Nothing was worked in this run" curl={`curl --json '{"task_name": "load"}' ${location.origin}/v1/workflow-runs/${run.workflow_run_id}/tasks`}>A task that is linked to it gets a bar here.</Empty>
      : null
  }
  const ticks = ticksOf(span, width)
  return (
    <div class="timeline">
      <div class="timeline-tools">
        <span class="legend"><i class="wait" /> waits</span>
        <span class="legend"><i class="bar busy" /> runs</span>
        <span class="legend"><i class="bar bad" /> failed attempt</span>
        <span class="legend"><i class="bar rest sleeps" /> sleeps</span>
        <span class="grow" />
        <Button class="small" variant="quiet" aria-label="Closer" title="Closer (+)" onClick={() => zoom(0.6)}>+</Button>
        <Button class="small" variant="quiet" aria-label="Farther" title="Farther (−)" onClick={() => zoom(1.6)}>−</Button>
        <Button class="small" variant="quiet" title="All of it (0)" disabled={!chosen} onClick={() => choose(undefined)}>Fit</Button>
      </div>
      <div class="timeline-axis" style={{ paddingLeft: px(names) }}>
        <svg width={width} height="24" aria-hidden="true">
          {ticks.map(({ time, text }) => <text key={time} x={x(time) + 4} y="16">{text}</text>)}
        </svg>
      </div>
      <div ref={box} class="timeline-box" tabIndex={0} role="region" aria-label={`Timeline of ${rows.length} rows`} onScroll={(event) => setTop(event.currentTarget.scrollTop)} onWheel={wheel}>
        <div class="timeline-rows" style={{ height: px(rows.length * ROW) }}>
          <svg class="timeline-lines" style={{ left: px(names) }} width={width} height={rows.length * ROW} onPointerDown={drag} aria-hidden="true">
            {ticks.map(({ time }) => <line key={time} class="tick" x1={x(time)} x2={x(time)} y1={top} y2={top + size.height + ROW} />)}
            {seen.map((row, at) => <Bar key={row.id} row={row} y={(first + at) * ROW} x={x} width={width} attempts={attempts.get(keyOf(row))} />)}
            {isOpen && x(now.value) <= width && <line class="now" x1={x(now.value)} x2={x(now.value)} y1={top} y2={top + size.height + ROW} />}
          </svg>
          {seen.map((row, at) => <Name key={row.id} row={row} top={(first + at) * ROW} width={names} />)}
        </div>
      </div>
      <p class="timeline-foot faint">{`${moment(span.from)} to ${clock(span.to)}, ${duration(span.to - span.from)}`}{!work.isWhole && ' · still loading'}</p>
    </div>
  )
}

function Name({ row, top, width }: { row: Row; top: number; width: number }) {
  const style = { top: px(top), width: px(width), height: px(ROW), paddingLeft: px(12 + Math.min(row.depth, 6) * 14) }
  const title = `${row.id}\n${row.status}${row.attempt > 1 ? `, attempt ${row.attempt}` : ''}${row.began && row.ended ? `\n${duration(row.ended - row.began)}` : ''}${row.task?.error ? `\n${errorLine(row.task.error)}` : ''}`
  const inner = (
    <>
      <span class={`status ${tone(row.status)}`} role="img" aria-label={row.status}><Icon name={iconOf(row.status)} size={13} /></span>
      <span class="cut">{row.name}</span>
    </>
  )
  return row.to
    ? <a class="timeline-name" href={row.to} style={style} title={title}>{inner}</a>
    : <span class="timeline-name" style={style} title={title}>{inner}</span>
}

function iconOf(status: string) {
  switch (status) {
    case 'completed': case 'failed': case 'running': case 'sleeping': case 'cancelled': case 'skipped': return status
    case 'upstream_failed': return 'failed'
    default: return 'pending'
  }
}

function Bar({ row, y, x, width, attempts }: { row: Row; y: number; x: (time: number) => number; width: number; attempts: readonly Attempt[] | undefined }) {
  const end = row.ended ?? now.value
  const middle = y + ROW / 2
  const parts = partsOf(row, attempts, end)
  const clip = (time: number) => Math.min(width + 4, Math.max(-4, x(time)))
  const open = () => row.to && navigate(row.to)
  return (
    <g class="timeline-row" onClick={open}>
      {Number.isFinite(row.made) && (row.began ?? end) > row.made && <line class="wait" x1={clip(row.made)} x2={clip(row.began ?? end)} y1={middle} y2={middle} />}
      {parts.map((part) => {
        const left = clip(part.from)
        const long = Math.max(2, clip(part.to) - left)
        if (part.kind === 'gap') return <line key={part.from} class="wait" x1={left} x2={left + long} y1={middle} y2={middle} />
        return <rect key={part.from} class={`bar ${part.kind}`} x={left} width={long} y={y + 8} height={ROW - 16} rx="2" />
      })}
      {row.began !== undefined && x(end) < width - 54 && x(end) > 0 && <text class="long" x={clip(end) + 6} y={middle + 4}>{duration(end - row.began)}</text>}
    </g>
  )
}

interface Part {
  from: number
  to: number
  kind: string
}

function partsOf(row: Row, attempts: readonly Attempt[] | undefined, end: number): Part[] {
  if (row.began === undefined) return []
  const parts: Part[] = []
  for (const attempt of attempts ?? []) {
    const from = attempt.started_at ? Date.parse(attempt.started_at) : undefined
    if (from === undefined) continue
    const last = parts.at(-1)
    if (last && from > last.to) parts.push({ from: last.to, to: from, kind: 'gap' })
    parts.push({ from, to: attempt.ended_at ? Date.parse(attempt.ended_at) : end, kind: tone(attempt.status) })
  }
  const isAsleep = row.status === 'sleeping'
  const since = row.task ? Date.parse(row.task.updated_at) : undefined
  if (!parts.length) parts.push({ from: row.began, to: isAsleep && since ? since : end, kind: isAsleep ? 'busy' : tone(row.status) })
  const last = parts.at(-1)
  if (isAsleep && since && last) {
    last.to = Math.min(last.to, since)
    if (last.kind === 'rest') last.kind = 'busy'
    parts.push({ from: Math.max(last.to, since), to: Math.max(end, row.wakes ?? 0), kind: 'rest sleeps' })
  }
  return parts
}

const keyOf = (row: Row) => `${row.task?.task_id ?? ''} ${row.task?.revision ?? 0}`

/** Read the attempts of what is seen and was tried more than once. */
function useAttempts(seen: readonly Row[]): ReadonlyMap<string, readonly Attempt[]> {
  const [known, setKnown] = useState<ReadonlyMap<string, readonly Attempt[]>>(new Map())
  const asked = useRef(new Set<string>())
  const wanted = seen.filter((row) => row.task && row.attempt > 1 && !asked.current.has(keyOf(row)))
  useEffect(() => {
    for (const row of wanted.slice(0, 40)) {
      asked.current.add(keyOf(row))
      void get('/v1/tasks/{task_id}/attempts', { path: { task_id: row.task?.task_id ?? '' } }).then(
        ({ items }) => setKnown((before) => new Map(before).set(keyOf(row), items)), () => undefined)
    }
  }, [wanted.map(keyOf).join()])
  return known
}

function spanOf(run: Run, rows: readonly Row[]): Span {
  let from = Date.parse(run.started_at ?? run.created_at)
  let to = Date.parse(run.completed_at ?? run.updated_at)
  for (const row of rows) {
    if (row.made < from) from = row.made
    const end = row.ended ?? row.began ?? 0
    if (end > to) to = end
  }
  return { from, to: Math.max(to, from + SPAN_LEAST_MS) }
}

/** What part of the time was chosen. It is drawn at once, and in the address once it rests: browsers allow few changes of that. */
function useChosen(): [Span | undefined, (span: Span | undefined) => void] {
  const held = parameter('span')
  const [chosen, setChosen] = useState(() => spanIn(held))
  const written = useRef(held)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => {
    if (held === written.current) return
    written.current = held
    setChosen(spanIn(held))
  }, [held])
  useEffect(() => () => clearTimeout(timer.current), [])
  const choose = (span: Span | undefined) => {
    setChosen(span)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => {
      written.current = span ? `${Math.round(span.from)}-${Math.round(span.to)}` : ''
      setParameters({ span: written.current })
    }, REST_MS)
  }
  return [chosen, choose]
}

function spanIn(text: string): Span | undefined {
  const [, from, to] = /^(\d{1,15})-(\d{1,15})$/.exec(text) ?? []
  const span = { from: Number(from), to: Number(to) }
  return span.to - span.from >= SPAN_LEAST_MS / 2 ? span : undefined
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000, 86_400_000, 604_800_000]

function ticksOf(span: Span, width: number): { time: number; text: string }[] {
  const wanted = (span.to - span.from) / Math.max(2, width / 110)
  const step = STEPS.find((one) => one >= wanted) ?? wanted
  const first = Math.ceil(span.from / step) * step
  const ticks = []
  for (let time = first; time < span.to && ticks.length < 60; time += step) {
    const text = step < 1000 ? `${clock(time)}.${String(time % 1000).padStart(3, '0')}` : step < 86_400_000 ? clock(time) : moment(time)
    ticks.push({ time, text })
  }
  return ticks
}

function useDrag(moved: (dx: number) => void) {
  const latest = useRef(moved)
  latest.current = moved
  return (event: PointerEvent) => {
    if (event.button !== 0 || event.pointerType === 'touch') return
    let from = event.clientX
    const move = (next: PointerEvent) => {
      latest.current(next.clientX - from)
      from = next.clientX
    }
    const stop = () => {
      removeEventListener('pointermove', move)
      removeEventListener('pointerup', stop)
    }
    addEventListener('pointermove', move)
    addEventListener('pointerup', stop)
  }
}
