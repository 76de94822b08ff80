// The search box: finds by id, by the name of a workflow, a queue or a task, and by tag.
import { useEffect, useRef, useState } from 'preact/hooks'
import { get } from './api'
import { shortId } from './format'
import { useKeys } from './keys'
import { navigate } from './router'
import { Icon } from './ui/icons'

interface Hit {
  title: string
  says: string
  to: string
}

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const PART_OF_ID = /^[0-9a-f-]{4,}$/i
const HITS_MOST = 8

async function find(text: string): Promise<Hit[]> {
  if (UUID.test(text)) return findId(text)
  const colon = text.indexOf(':')
  if (colon > 0) return [{ title: text, says: 'runs with this tag', to: `/runs?tag=${encodeURIComponent(text)}` }]
  const [workflows, queues, recent] = await Promise.all([
    get('/v1/workflow-runs/counts', { query: { by: 'workflow_name,status' } }).then(({ counts }) => counts.map((row) => row.workflow_name ?? ''), () => []),
    get('/v1/queues', { query: { limit: 200 } }).then(({ items }) => items.map((queue) => queue.queue), () => []),
    PART_OF_ID.test(text) ? get('/v1/workflow-runs', { query: { limit: 200 } }).then(({ items }) => items, () => []) : [],
  ])
  const fits = (name: string) => name.toLowerCase().includes(text.toLowerCase())
  return [
    ...recent.filter((run) => run.workflow_run_id.includes(text.toLowerCase())).map((run) =>
      ({ title: shortId(run.workflow_run_id), says: `run of ${run.workflow_name}`, to: `/runs/${run.workflow_run_id}` })),
    ...[...new Set(workflows)].filter(fits).map((name) => ({ title: name, says: 'runs of this workflow', to: `/runs?workflow_name=${name}` })),
    ...queues.filter(fits).map((name) => ({ title: name, says: 'runs on this queue', to: `/runs?queue=${encodeURIComponent(name)}` })),
  ].slice(0, HITS_MOST)
}

async function findId(id: string): Promise<Hit[]> {
  const run = await get('/v1/workflow-runs/{workflow_run_id}', { path: { workflow_run_id: id } }).catch(() => undefined)
  if (run) return [{ title: shortId(id), says: `run of ${run.workflow_name}, ${run.status}`, to: `/runs/${run.workflow_run_id}` }]
  const task = await get('/v1/tasks/{task_id}', { path: { task_id: id } }).catch(() => undefined)
  return task ? [{ title: shortId(id), says: `task ${task.task_name}, ${task.status}`, to: `/tasks/${task.task_id}` }] : []
}

export function Search() {
  const [text, setText] = useState('')
  const [hits, setHits] = useState<Hit[] | undefined>(undefined)
  const [at, setAt] = useState(0)
  const [isOpen, setOpen] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  useKeys([{ key: '/', says: 'Search', act: () => input.current?.focus() }])
  useEffect(() => {
    setHits(undefined)
    setAt(0)
    const wanted = text.trim()
    if (wanted.length < 2) return undefined
    let isCurrent = true
    const timer = setTimeout(() => void find(wanted).then((found) => isCurrent && setHits(found)), 150)
    return () => {
      isCurrent = false
      clearTimeout(timer)
    }
  }, [text])
  const open = (hit: Hit | undefined) => {
    if (!hit) return
    setText('')
    setOpen(false)
    input.current?.blur()
    navigate(hit.to)
  }
  const press = (event: KeyboardEvent) => {
    const most = (hits?.length ?? 1) - 1
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, most))
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0))
    else if (event.key === 'Enter') open(hits?.[at])
    else if (event.key === 'Escape') input.current?.blur()
    else return
    event.preventDefault()
  }
  const isListed = isOpen && text.trim().length >= 2 && hits !== undefined
  return (
    <div class="search" role="search">
      <Icon name="search" size={14} />
      <input
        ref={input} type="text" placeholder="Find an id, name or key:value" aria-label="Find" value={text} autocomplete="off" spellcheck={false}
        role="combobox" aria-expanded={isListed} aria-controls="hits" aria-activedescendant={isListed && hits.length ? `hit-${at}` : undefined}
        onInput={(event) => setText(event.currentTarget.value)} onKeyDown={press} onFocus={() => setOpen(true)} onBlur={() => setOpen(false)}
      />
      <kbd aria-hidden="true">/</kbd>
      <div id="hits" class="hits" role="listbox" aria-label="Found" hidden={!isListed}>
        {hits?.map((hit, index) => (
          <div key={hit.to} id={`hit-${index}`} role="option" aria-selected={index === at} class="hit" onMouseDown={(event) => { event.preventDefault(); open(hit) }}>
            <strong>{hit.title}</strong><span>{hit.says}</span>
          </div>
        ))}
        {hits?.length === 0 && <div class="hit" role="option" aria-selected="false"><span>Nothing found. Tags are found as key:value.</span></div>}
      </div>
    </div>
  )
}
