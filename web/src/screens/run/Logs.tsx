// The log of a run or a task: its newest lines, live; filtered by level and text.
import { useEffect, useRef, useState } from 'preact/hooks'
import { get, Problem, type Schemas } from '../../api'
import { clock, utc } from '../../format'
import { orAbsent, useLive } from '../../live'
import { parameter, setParameters } from '../../router'
import { Button, Empty, ProblemNote, Skeleton } from '../../ui/controls'

type Line = Schemas['LogLine']
const LEVELS: readonly Schemas['LogLevel'][] = ['debug', 'info', 'warning', 'error']
const TAIL = 500

export function Logs({ of, id }: { of: 'run' | 'task'; id: string }) {
  const level = LEVELS.find((one) => one === parameter('level'))
  const q = parameter('q')
  const [older, setOlder] = useState<{ name: string; lines: readonly Line[]; isAll: boolean }>({ name: '', lines: [], isAll: false })
  const [failure, setFailure] = useState<Problem>()
  const name = `logs ${of} ${id} ${level ?? ''} ${q}`
  const filters = { ...(level ? { level } : {}), ...(q ? { q } : {}) }
  const read = (query: object, abort?: AbortSignal) => (of === 'run'
    ? get('/v1/workflow-runs/{workflow_run_id}/logs', { path: { workflow_run_id: id }, query: { ...filters, ...query }, ...(abort ? { abort } : {}) })
    : get('/v1/tasks/{task_id}/logs', { path: { task_id: id }, query: { ...filters, ...query }, ...(abort ? { abort } : {}) }))
  const { data, problem, isLoading } = useLive(name, (abort) => orAbsent(read({ tail: TAIL }, abort)),
    (change) => change.kind === 'log' && (change.id === id || change.workflow_run_id === id))
  const before = older.name === name ? older : undefined
  const lines = data ? merge(before?.lines ?? [], data.items) : []
  const isMore = data !== undefined && data.items.length === TAIL && !before?.isAll
  const more = () => {
    const first = lines[0]
    if (!first) return
    read({ order: '-at', before: first.at, limit: TAIL }).then(
      ({ items }) => setOlder({ name, lines: merge([...items].reverse(), before?.lines ?? data?.items ?? []), isAll: items.length < TAIL }),
      (refused: unknown) => refused instanceof Problem && setFailure(refused))
  }
  const box = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  useEffect(() => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight
  }, [lines.length])
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current as HTMLDivElement
    isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24
  }
  return (
    <div>
      <div class="row filters">
        <select class="input" aria-label="Level" value={level ?? ''} onChange={(event) => setParameters({ level: event.currentTarget.value })}>
          <option value="">Every level</option>
          {LEVELS.slice(1).map((one) => <option key={one} value={one}>{one} and above</option>)}
        </select>
        <input class="input grow" type="search" aria-label="Lines that contain" placeholder="Lines that contain…" value={q} onChange={(event) => setParameters({ q: event.currentTarget.value })} />
      </div>
      <ProblemNote problem={problem ?? failure} />
      {isLoading && <Skeleton />}
      {data && lines.length === 0 && (
        <Empty title={level || q ? 'No such lines' : 'No lines yet'}
          curl={level || q ? '' : `curl --json '{"lines": [{"text": "Loading 3 files"}]}' ${location.origin}/v1/${of === 'run' ? 'workflow-runs' : 'tasks'}/${id}/logs`}>
          {level || q ? 'Other levels or another text may have some.' : 'Whoever works may append what they have to say.'}
        </Empty>
      )}
      {lines.length > 0 && (
        <div ref={box} class="log" tabIndex={0} role="log" aria-label="Log" onScroll={scrolled}>
          {isMore && <Button class="small" variant="quiet" onClick={more}>Earlier lines</Button>}
          {lines.map((line) => (
            <div key={line.line_id} class={`log-line ${line.level}`}>
              <time dateTime={line.at} title={utc(line.at)}>{clock(line.at)}</time>
              <span class="log-level">{line.level === 'info' ? '' : line.level}</span>
              <span class="log-text">{line.text}{line.truncated && <em class="faint"> (cut)</em>}{Object.keys(line.fields).length > 0 && <span class="faint"> {JSON.stringify(line.fields)}</span>}</span>
            </div>
          ))}
        </div>
      )}
    </div>
  )
}

function merge(before: readonly Line[], after: readonly Line[]): readonly Line[] {
  const known = new Set(after.map((line) => line.line_id))
  return [...before.filter((line) => !known.has(line.line_id)), ...after]
}
