// The rows of a timeline: steps by their paths, or tasks by their parents, each below what it is part of.
import type { Step, Task } from '../../api'
import type { Work } from './tasks'

export interface Row {
  id: string
  name: string
  depth: number
  status: string
  attempt: number
  /** Since when it could be worked, from when to when it was, and until when it sleeps. */
  made: number
  began: number | undefined
  ended: number | undefined
  wakes: number | undefined
  task: Task | undefined
  step: Step | undefined
  to: string | undefined
}

const at = (time: string | null | undefined) => (time ? Date.parse(time) : undefined)

export function rowsOf(work: Work): Row[] {
  const tasks = new Map(work.tasks.map((task) => [task.task_id, task]))
  if (work.steps.length === 0) return nest(work.tasks.map(rowOfTask), (row) => row.task?.parent_task_id ?? undefined)
  const rows = work.steps.map((step) => rowOfStep(step, step.task_id ? tasks.get(step.task_id) : undefined))
  const known = new Set(rows.map((row) => row.id))
  return nest(rows, (row) => parentOf(row.id, known)).map((row) => ({ ...row, name: row.name.slice(row.name.lastIndexOf('.') + 1) }))
}

function rowOfTask(task: Task): Row {
  return {
    id: task.task_id, name: task.task_name, depth: 0, status: task.status, attempt: task.attempt,
    made: Date.parse(task.created_at), began: at(task.first_started_at),
    ended: at(task.completed_at ?? task.cancelled_at), wakes: at(task.wake_at), task, step: undefined, to: `/tasks/${task.task_id}`,
  }
}

function rowOfStep(step: Step, task: Task | undefined): Row {
  const began = at(task?.first_started_at ?? (task ? undefined : step.started_at))
  return {
    id: step.path, name: step.path, depth: 0, status: task?.status === 'sleeping' && step.status === 'running' ? 'sleeping' : step.status,
    attempt: step.attempt, made: at(step.started_at) ?? began ?? Number.POSITIVE_INFINITY, began, ended: at(step.completed_at),
    wakes: at(step.due_at ?? task?.wake_at), task, step, to: step.task_id ? `/tasks/${step.task_id}` : undefined,
  }
}

/** Return the step that another is part of: the longest beginning of its path that is a step. */
function parentOf(path: string, known: ReadonlySet<string>): string | undefined {
  for (let end = path.length - 1; end > 0; end -= 1) {
    const character = path[end]
    if ((character === '.' || character === '[') && known.has(path.slice(0, end))) return path.slice(0, end)
  }
  return undefined
}

function nest(rows: readonly Row[], parent: (row: Row) => string | undefined): Row[] {
  const known = new Set(rows.map((row) => row.id))
  const below = new Map<string, Row[]>()
  for (const row of rows) {
    const over = parent(row)
    const place = over && known.has(over) && over !== row.id ? over : ''
    const siblings = below.get(place)
    if (siblings) siblings.push(row)
    else below.set(place, [row])
  }
  const order = (a: Row, b: Row) => (a.began ?? a.made) - (b.began ?? b.made) || 0
  const nested: Row[] = []
  const pending = (below.get('') ?? []).sort(order).reverse()
  while (pending.length) {
    const row = pending.pop() as Row
    nested.push(row)
    for (const child of (below.get(row.id) ?? []).sort(order).reverse()) {
      child.depth = row.depth + 1
      pending.push(child)
    }
  }
  return nested
}
