// The filters of the runs: those of the API, in the address.
import { useState } from 'preact/hooks'
import type { QueryOf, RunStatus } from '../../api'
import { place, setParameters } from '../../router'
import { Button } from '../../ui/controls'
import { Icon } from '../../ui/icons'

type Query = NonNullable<QueryOf<'/v1/workflow-runs'>>
type Field = keyof Query

const STATUSES: readonly RunStatus[] = ['pending', 'running', 'completed', 'failed', 'cancelled']
const REPEATED: readonly Field[] = ['status', 'tag', 'workflow_name', 'workflow_version', 'reason']
const ALONE: readonly Field[] = [
  'created_by', 'queue', 'parent_workflow_run_id', 'created_after', 'created_before', 'started_after', 'started_before',
  'completed_after', 'completed_before', 'updated_after', 'updated_before', 'late', 'order', 'cursor',
]
const OFFERED: readonly (readonly [Field, string, string])[] = [
  ['workflow_name', 'Workflow', 'nightly_etl'],
  ['workflow_version', 'Version', '1.0.0'],
  ['tag', 'Tag', 'team:finance'],
  ['created_by', 'Created by', 'dana'],
  ['queue', 'Queue', 'default'],
  ['reason', 'Reason', 'deadline'],
  ['created_after', 'Created after', '2026-11-29T00:00:00Z'],
  ['created_before', 'Created before', '2026-11-30T00:00:00Z'],
  ['completed_after', 'Completed after', '2026-11-29T00:00:00Z'],
  ['parent_workflow_run_id', 'Part of the run', ''],
]

/** Return what the address asks for, as the API takes it; what it does not know is left out. */
export function queryOf(parameters: URLSearchParams): Query {
  const query: Record<string, unknown> = { limit: 50 }
  for (const name of REPEATED) if (parameters.has(name)) query[name] = parameters.getAll(name)
  for (const name of ALONE) if (parameters.has(name)) query[name] = parameters.get(name)
  return query as Query
}

export function isFiltered(query: Query): boolean {
  return Object.keys(query).some((name) => !['limit', 'order', 'cursor'].includes(name))
}

export function Filters() {
  const parameters = place.value.query
  const statuses = parameters.getAll('status')
  const chips = [...REPEATED, ...ALONE].filter((name) => !['status', 'order', 'cursor', 'late'].includes(name))
    .flatMap((name) => parameters.getAll(name).map((value) => ({ name, value })))
  const toggle = (status: string) => setParameters({
    status: statuses.includes(status) ? statuses.filter((one) => one !== status) : [...statuses, status], cursor: undefined,
  }, 'push')
  const drop = ({ name, value }: { name: string; value: string }) =>
    setParameters({ [name]: parameters.getAll(name).filter((one) => one !== value), cursor: undefined }, 'push')
  return (
    <div class="row filterbar" role="group" aria-label="Filters">
      {STATUSES.map((status) => <Button key={status} class="small" aria-pressed={statuses.includes(status)} onClick={() => toggle(status)}>{status}</Button>)}
      <Button class="small" aria-pressed={parameters.get('late') === 'true'} onClick={() => setParameters({ late: parameters.get('late') ? undefined : 'true', cursor: undefined }, 'push')}>late</Button>
      {chips.map((chip) => (
        <span key={`${chip.name}=${chip.value}`} class="chip">
          <span class="faint">{chip.name.replaceAll('_', ' ')}</span> {chip.value}
          <button type="button" aria-label={`Without ${chip.name} ${chip.value}`} onClick={() => drop(chip)}><Icon name="close" size={11} /></button>
        </span>
      ))}
      <AddFilter />
      {(statuses.length > 0 || chips.length > 0 || parameters.has('late')) && <a class="faint" href="/runs">Clear</a>}
    </div>
  )
}

function AddFilter() {
  const [isOpen, setOpen] = useState(false)
  const [name, setName] = useState<Field>('workflow_name')
  const [value, setValue] = useState('')
  if (!isOpen) return <Button class="small" variant="quiet" icon="filter" onClick={() => setOpen(true)}>Filter</Button>
  const add = (event: Event) => {
    event.preventDefault()
    const text = value.trim()
    if (text) setParameters({ [name]: REPEATED.includes(name) ? [...place.value.query.getAll(name), text] : text, cursor: undefined }, 'push')
    setValue('')
    setOpen(false)
  }
  return (
    <form class="row addfilter" onSubmit={add} onKeyDown={(event) => event.key === 'Escape' && setOpen(false)}>
      <select class="input" aria-label="What is filtered" value={name} onChange={(event) => setName(event.currentTarget.value as Field)}>
        {OFFERED.map(([field, title]) => <option key={field} value={field}>{title}</option>)}
      </select>
      <input class="input" ref={(input) => input?.focus()} aria-label="Its value" value={value} placeholder={OFFERED.find(([field]) => field === name)?.[2] ?? ''} onInput={(event) => setValue(event.currentTarget.value)} />
      <Button class="small" type="submit">Add</Button>
    </form>
  )
}
