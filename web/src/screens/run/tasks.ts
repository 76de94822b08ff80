// All tasks and steps of a run: read page by page, shown as they come, and kept up to date by what changes.
import { useEffect, useState } from 'preact/hooks'
import { get, Problem, type Step, type Task } from '../../api'
import { onNews } from '../../stream'

export interface Work {
  tasks: readonly Task[]
  steps: readonly Step[]
  isWhole: boolean
  problem: Problem | undefined
}

const ONE_BY_ONE_MOST = 24
const PAUSE_MS = 500
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
          reader.wish(change.kind === 'task' ? change.id : undefined)
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
  private changed = new Set<string>()
  private isAll = false
  private isBusy = false

  constructor(private readonly id: string, private readonly show: (work: Work) => void) {}

  /** Say that a task, or anything, is to be read again. */
  wish(taskId: string | undefined): void {
    if (taskId) this.changed.add(taskId)
    else this.isAll = true
    if (!this.isBusy) setTimeout(() => void this.work(), PAUSE_MS / 5)
  }

  async readAll(): Promise<void> {
    this.isAll = true
    await this.work()
  }

  private async work(): Promise<void> {
    if (this.isBusy) return
    this.isBusy = true
    while ((this.isAll || this.changed.size) && !this.abort.signal.aborted) {
      const began = performance.now()
      const { changed, isAll } = this
      this.changed = new Set()
      this.isAll = false
      try {
        if (isAll || changed.size > ONE_BY_ONE_MOST) await this.readPages()
        else await this.readSome(changed)
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
        if (isFirst) this.tell(false)
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

  private async readSome(ids: ReadonlySet<string>): Promise<void> {
    await Promise.all([
      this.steps.size ? this.readSteps() : undefined,
      ...[...ids].map(async (task_id) => {
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
