// The runs: filtered by the address, live without jumping, with verbs for those that are selected.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { get, type QueryOf, type Run } from '../../api'
import { count, errorLine, plural } from '../../format'
import { useKeys } from '../../keys'
import { useLive } from '../../live'
import { navigate, place, setParameters, withParameters } from '../../router'
import { Button, Empty, Id, ProblemNote, ProgressBar, Skeleton, Tags } from '../../ui/controls'
import { Status } from '../../ui/status'
import { Duration, Time } from '../../ui/time'
import { Filters, isFiltered, queryOf } from './Filters'
import { Selection } from './Selection'

const CURL = `curl --json '{"workflow_name": "etl", "workflow_version": "1"}' ${location.origin}/v1/workflow-runs`
type Query = NonNullable<QueryOf<'/v1/workflow-runs'>>

export default function Runs() {
  const query = queryOf(place.value.query)
  const name = JSON.stringify(query)
  const { data, problem, isLoading } = useLive(`runs ${name}`, (abort) => get('/v1/workflow-runs', { query, abort }), (change) => change.kind === 'workflow_run')
  const { shown, waiting, take } = useSteady(name, data?.items, query)
  const { selected, toggle, clear, all } = useSelection(name, shown)
  const at = useCursor(shown, toggle, clear)
  return (
    <div class="screen">
      <div class="row spread"><h1>Runs</h1>{waiting > 0 && <Button class="small news" variant="main" onClick={take}>{count(waiting)} new</Button>}</div>
      <Filters />
      <ProblemNote problem={problem} />
      {selected.size > 0 && <Selection runs={shown.filter((run) => selected.has(run.workflow_run_id))} onClear={clear} />}
      <div class="panel">
        {isLoading && <Skeleton rows={12} />}
        {data && shown.length === 0 && (isFiltered(query)
          ? <Empty title="No run is like that"><a href="/runs">Show all runs</a></Empty>
          : <Empty title="No runs yet" curl={CURL}>The first one is a call away.</Empty>)}
        {shown.length > 0 && (
          <table class="table runs">
            <thead>
              <tr>
                <th class="pick"><input type="checkbox" aria-label="Select all that are shown" checked={selected.size === shown.length} onChange={all} /></th>
                <th>Status</th><th>Workflow</th><th class="wide">Id</th><th class="wide"><Order by="created_at">Created</Order></th>
                <th class="right wide">Duration</th><th class="wide">Progress</th><th class="fill wide">Tags or error</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((run, index) => (
                <Row key={run.workflow_run_id} run={run} isAt={index === at} isSelected={selected.has(run.workflow_run_id)} onToggle={() => toggle(run.workflow_run_id)} />
              ))}
            </tbody>
          </table>
        )}
      </div>
      <Pages next={data?.next_cursor ?? null} />
    </div>
  )
}

function Row({ run, isAt, isSelected, onToggle }: { run: Run; isAt: boolean; isSelected: boolean; onToggle: () => void }) {
  const { progress } = run
  const ended = progress.completed + progress.failed + progress.cancelled
  const to = `/runs/${run.workflow_run_id}`
  const open = (event: MouseEvent) => {
    if (!(event.target as Element).closest('a, button, input') && !getSelection()?.toString()) navigate(to)
  }
  return (
    <tr class={isAt ? 'at' : ''} aria-selected={isSelected} onClick={open}>
      <td class="pick"><input type="checkbox" aria-label={`Select ${run.workflow_name} ${run.workflow_run_id.slice(-12)}`} checked={isSelected} onChange={onToggle} /></td>
      <td class="run-status">
        <Status status={run.paused_at && !run.completed_at ? 'paused' : run.status} />
        {run.late_at && <Status status="late" />}
      </td>
      <td class="run-name">
        <a href={to} class="strong">{run.workflow_name}</a> <span class="faint">{run.workflow_version}</span>
        <span class="narrow faint"><Time at={run.started_at ?? run.created_at} isAgo /> · <Duration from={run.started_at} to={run.completed_at} />{run.error ? <span class="cut">{errorLine(run.error)}</span> : null}</span>
      </td>
      <td class="wide"><Id id={run.workflow_run_id} /></td>
      <td class="wide number"><Time at={run.created_at} /></td>
      <td class="right wide"><Duration from={run.started_at} to={run.completed_at} /></td>
      <td class="wide run-progress">
        {progress.total > 0 && (
          <span title={`${count(ended)} of ${plural(progress.total, 'task')} ended`}>
            <ProgressBar label={`${progress.percent ?? 0} %`} parts={[
              { tone: 'good', count: progress.completed }, { tone: 'bad', count: progress.failed }, { tone: 'busy', count: progress.running },
              { tone: 'rest', count: progress.sleeping }, { tone: 'quiet', count: Math.max(0, progress.total - ended - progress.running - progress.sleeping) },
            ]} /> <span class="number faint">{Math.floor(progress.percent ?? 0)} %</span>
          </span>
        )}
      </td>
      <td class="fill wide"><div class="cut">{run.error ? <span class="run-error" title={errorLine(run.error)}>{errorLine(run.error)}</span> : <Tags tags={run.tags} />}</div></td>
    </tr>
  )
}

function Order({ by, children }: { by: string; children: string }) {
  const order = place.value.query.get('order') ?? '-created_at'
  const next = order === `-${by}` ? by : undefined
  return <a href={withParameters({ order: next, cursor: undefined })} title={order === by ? 'Oldest first' : 'Newest first'}>{children} <span aria-hidden="true">{order === by ? '↑' : '↓'}</span></a>
}

function Pages({ next }: { next: string | null }) {
  const cursor = place.value.query.get('cursor')
  if (!next && !cursor) return null
  return (
    <nav class="row spread" aria-label="Pages">
      {cursor ? <a class="button" href={withParameters({ cursor: undefined })}>Newest</a> : <span />}
      {next && <a class="button" href={withParameters({ cursor: next })}>Older</a>}
    </nav>
  )
}

/** What is shown stays where it is: rows that are there change in place, and new ones wait until they are asked for. */
function useSteady(name: string, latest: readonly Run[] | undefined, query: Query) {
  const [kept, setKept] = useState<{ name: string; ids: readonly string[] }>({ name: '', ids: [] })
  const [known] = useState(() => new Map<string, Run>())
  const ids = kept.name === name ? kept.ids : []
  for (const run of latest ?? []) known.set(run.workflow_run_id, run)
  const fresh = (latest ?? []).filter((run) => !ids.includes(run.workflow_run_id))
  const isFirst = kept.name !== name
  useEffect(() => {
    if (latest && (isFirst || !ids.length)) setKept({ name, ids: latest.map((run) => run.workflow_run_id) })
  }, [name, latest])
  const gone = useGone(ids, latest, known, query)
  const take = () => setKept({ name, ids: (latest ?? []).map((run) => run.workflow_run_id) })
  const shown = isFirst || !ids.length ? latest ?? [] : ids.filter((id) => !gone.has(id)).map((id) => known.get(id)).filter((run) => run !== undefined)
  return { shown, waiting: isFirst || !ids.length ? 0 : fresh.length, take }
}

/** Read again what is shown and no longer on the page that was loaded: pushed off it by new runs, changed, or deleted. */
function useGone(ids: readonly string[], latest: readonly Run[] | undefined, known: Map<string, Run>, query: Query): ReadonlySet<string> {
  const [gone, setGone] = useState<ReadonlySet<string>>(new Set())
  const asked = useRef<string>('')
  const here = new Set(latest?.map((run) => run.workflow_run_id))
  const off = latest ? ids.filter((id) => !here.has(id) && !gone.has(id)) : []
  useEffect(() => {
    const mark = off.join()
    if (!off.length || (mark === asked.current && !off.some((id) => !known.get(id)?.completed_at))) return
    asked.current = mark
    void Promise.all(off.slice(0, 50).map((id) => get('/v1/workflow-runs/{workflow_run_id}', { path: { workflow_run_id: id } }).then(
      (run) => void known.set(id, run),
      () => setGone((before) => new Set([...before, id])),
    ))).then(() => setGone((before) => new Set(before)))
  }, [latest, query.order])
  return gone
}

function useSelection(name: string, shown: readonly Run[]) {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const clear = () => setSelected(new Set())
  useEffect(clear, [name])
  const toggle = (id: string) => setSelected((before) => {
    const after = new Set(before)
    if (!after.delete(id)) after.add(id)
    return after
  })
  const all = () => setSelected(selected.size === shown.length ? new Set() : new Set(shown.map((run) => run.workflow_run_id)))
  const still = useMemo(() => new Set(shown.filter((run) => selected.has(run.workflow_run_id)).map((run) => run.workflow_run_id)), [shown, selected])
  return { selected: still, toggle, clear, all }
}

/** A row that the keyboard is at: j and k move it, Enter opens it, x selects it. */
function useCursor(shown: readonly Run[], toggle: (id: string) => void, clear: () => void): number {
  const [at, setAt] = useState(-1)
  const move = (by: number) => {
    const next = Math.min(Math.max(at + by, 0), shown.length - 1)
    setAt(next)
    document.querySelectorAll('table.runs tbody tr')[next]?.scrollIntoView({ block: 'nearest' })
  }
  const here = () => shown[at]?.workflow_run_id
  const status = (value: string) => setParameters({ status: place.value.query.get('status') === value ? undefined : value, cursor: undefined })
  useKeys([
    { key: 'j', says: 'Next run', act: () => move(1) },
    { key: 'k', says: 'Run before', act: () => move(-1) },
    { key: 'Enter', says: 'Open the run', act: () => { const id = here(); if (id) navigate(`/runs/${id}`) } },
    { key: 'x', says: 'Select the run', act: () => { const id = here(); if (id) toggle(id) } },
    { key: 'Escape', says: 'Select none', act: clear },
    { key: 'f', says: 'Only failed', act: () => status('failed') },
    { key: 'r', says: 'Only running', act: () => status('running') },
    { key: 'l', says: 'Only late', act: () => setParameters({ late: place.value.query.get('late') ? undefined : 'true', cursor: undefined }) },
  ])
  return at
}
