// All tasks and steps of a run: read page by page, shown as they come, and kept up to date by what changes.
import { useEffect, useState } from 'preact/hooks'
import { get, Problem, type Step, type Task, type TaskStatus } from '../../api'
import { onNews, type Change } from '../../stream'

export interface Work {
  tasks: readonly Task[]
  steps: readonly Step[]
  isWhole: boolean
  problem: Problem | undefined
}

const ONE_BY_ONE_MOST = 24
const PAUSE_MS = 500
const TELL_MS = 200
const NOTHING: Work = { tasks: [], steps: [], isWhole: false, problem: undefined }

export function useWork(id: string): Work {
  const [work, setWork] = useState(NOTHING)
  useEffect(() => {
    const reader = new Reader(id, setWork)
    void reader.readAll()
    const forget = onNews((news) => {
      if (news === null) return reader.wish(undefined)
      for (const change of news) {
        if (change.workflow_run_id === id && (change.kind === 'task' || change.kind === 'step')) {
          reader.wish(change)
        }
      }
    })
    return () => {
      forget()
      reader.abort.abort()
    }
  }, [id])
  return work
}

class Reader {
  readonly abort = new AbortController()
  private readonly tasks = new Map<string, Task>()
  private steps = new Map<string, Step>()
  private changed = new Map<string, Change>()
  private areStepsOld = false
  private isAll = false
  private isBusy = false

  constructor(private readonly id: string, private readonly show: (work: Work) => void) {}

  /** Say what has changed; nothing said is "anything may have". */
  wish(change: Change | undefined): void {
    if (!change) this.isAll = true
    else if (change.kind === 'step') this.areStepsOld = true
    else {
      const known = this.tasks.get(change.id)
      if (known) this.tasks.set(change.id, changed(known, change))
      this.changed.set(change.id, change)
    }
    if (!this.isBusy) setTimeout(() => void this.work(), PAUSE_MS / 5)
  }

  async readAll(): Promise<void> {
    this.isAll = true
    await this.work()
  }

  private async work(): Promise<void> {
    if (this.isBusy) return
    this.isBusy = true
    while ((this.isAll || this.areStepsOld || this.changed.size) && !this.abort.signal.aborted) {
      const began = performance.now()
      const { changed: ids, isAll, areStepsOld } = this
      this.changed = new Map()
      this.isAll = this.areStepsOld = false
      const isNew = ids.size > ONE_BY_ONE_MOST && [...ids.keys()].some((id) => !this.tasks.has(id))
      try {
        if (isAll || isNew) await this.readPages()
        else await this.readSome(ids.size > ONE_BY_ONE_MOST ? [] : [...ids.keys()], areStepsOld)
        this.tell(true)
      } catch (failure) {
        if (failure instanceof Problem && failure.status !== 404) this.tell(true, failure)
        else if (!(failure instanceof Problem)) return
      }
      await new Promise((done) => setTimeout(done, Math.max(PAUSE_MS, 2 * (performance.now() - began))))
    }
    this.isBusy = false
  }

  private async readPages(): Promise<void> {
    const path = { workflow_run_id: this.id }
    const seen = new Set<string>()
    const isFirst = this.tasks.size === 0
    let told = 0
    await Promise.all([this.readSteps(), (async () => {
      for (let cursor: string | undefined; ; ) {
        const query = { limit: 200, ...(cursor ? { cursor } : {}) }
        const page = await get('/v1/workflow-runs/{workflow_run_id}/tasks', { path, query, abort: this.abort.signal })
        for (const task of page.items) {
          this.tasks.set(task.task_id, task)
          seen.add(task.task_id)
        }
        if (!page.next_cursor) break
        cursor = page.next_cursor
        if (isFirst && performance.now() - told > TELL_MS) {
          this.tell(false)
          told = performance.now()
        }
      }
    })()])
    for (const id of this.tasks.keys()) if (!seen.has(id)) this.tasks.delete(id)
  }

  private async readSteps(): Promise<void> {
    const path = { workflow_run_id: this.id }
    const found = new Map<string, Step>()
    for (let cursor: string | undefined; ; ) {
      const query = { limit: 200, ...(cursor ? { cursor } : {}) }
      const page = await get('/v1/workflow-runs/{workflow_run_id}/steps', { path, query, abort: this.abort.signal })
      for (const step of page.items) found.set(step.path, step)
      if (!page.next_cursor) break
      cursor = page.next_cursor
    }
    this.steps = found
  }

  private async readSome(ids: readonly string[], areStepsOld: boolean): Promise<void> {
    await Promise.all([
      areStepsOld ? this.readSteps() : undefined,
      ...ids.map(async (task_id) => {
        const task = await get('/v1/tasks/{task_id}', { path: { task_id }, abort: this.abort.signal })
        this.tasks.set(task_id, task)
      }),
    ])
  }

  private tell(isWhole: boolean, problem?: Problem): void {
    if (this.abort.signal.aborted) return
    this.show({ tasks: [...this.tasks.values()], steps: [...this.steps.values()], isWhole, problem })
  }
}

const ENDED: readonly string[] = ['completed', 'failed', 'cancelled']

/** Return a task as a change says that it is now: enough for lists, without reading each of thousands again. */
function changed(task: Task, { status, attempt, revision, at, verb, reason }: Change): Task {
  if (revision !== null && revision <= task.revision) return task
  return {
    ...task,
    status: (status ?? task.status) as TaskStatus,
    attempt: attempt ?? task.attempt,
    revision: revision ?? task.revision,
    reason: reason as Task['reason'],
    updated_at: at,
    first_started_at: task.first_started_at ?? (verb === 'claimed' ? at : null),
    completed_at: status && ENDED.includes(status) ? at : null,
  }
}
