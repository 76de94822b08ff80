// Data that a screen shows: loaded by one call, kept for the way back, and loaded again when a change concerns it.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { key, Problem } from './api'
import { onNews, streamState, type Change } from './stream'

export interface Loaded<T> {
  data: T | undefined
  problem: Problem | undefined
  isLoading: boolean
  reload: () => void
}

type Concerns = ((change: Change) => boolean) | false

const KEPT_MOST = 60
const PAUSE_MS = 400
const RETRY_MS = 3000
const kept = new Map<string, unknown>()
key.subscribe(() => kept.clear())

function keep(name: string, value: unknown): void {
  kept.delete(name)
  kept.set(name, value)
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT_MOST) break
    kept.delete(oldest)
  }
}

/**
 * Load something, and again when a change concerns it; `false` loads it once. `name` stands for all that `load` depends
 * on; '' loads nothing.
 */
export function useLive<T>(name: string, load: (abort: AbortSignal) => Promise<T>, concerns: Concerns = () => true): Loaded<T> {
  const [state, setState] = useState<{ name: string; data?: T | undefined; problem?: Problem | undefined }>({ name: '' })
  const latest = useRef({ load, concerns })
  latest.current = { load, concerns }
  const loader = useRef<Loader | undefined>(undefined)

  useEffect(() => {
    if (!name) return undefined
    const settle = (data: unknown, problem: Problem | undefined) => {
      if (problem) setState((before) => ({ name, problem, data: before.name === name ? before.data : undefined }))
      else {
        keep(name, data)
        setState({ name, data: data as T })
      }
    }
    const mine = new Loader((abort) => latest.current.load(abort), settle)
    loader.current = mine
    mine.ask()
    const forget = onNews((news) => {
      const { concerns: isOf } = latest.current
      if (isOf && (news === null || news.some(isOf))) mine.wish()
    })
    return () => {
      forget()
      mine.stop()
    }
  }, [name, key.value])

  const reload = useCallback(() => loader.current?.ask(), [])
  const isCurrent = state.name === name
  const data = isCurrent && state.data !== undefined ? state.data : (kept.get(name) as T | undefined)
  const problem = isCurrent ? state.problem : undefined
  return { data, problem, isLoading: name !== '' && data === undefined && !problem, reload }
}

/**
 * Loads when it is wished, one at a time, with a pause between that grows with what it costs. While the page is paused it
 * loads only what the reader asks for: what was wished or read before is dropped, for all is read when it goes on.
 */
class Loader {
  private readonly abort = new AbortController()
  private isBusy = false
  private isWished = false
  private isAsked = false

  constructor(
    private readonly load: (abort: AbortSignal) => Promise<unknown>,
    private readonly settle: (data: unknown, problem: Problem | undefined) => void,
  ) {}

  wish(): void {
    this.isWished = true
    if (!this.isBusy) void this.work()
  }

  ask(): void {
    this.isAsked = true
    this.wish()
  }

  stop(): void {
    this.abort.abort()
  }

  private async work(): Promise<void> {
    this.isBusy = true
    while ((this.isAsked || (this.isWished && streamState.value !== 'paused')) && !this.abort.signal.aborted) {
      const { isAsked } = this
      this.isWished = this.isAsked = false
      const began = performance.now()
      const isLost = await this.once(isAsked)
      if (isLost) setTimeout(() => !this.abort.signal.aborted && this.ask(), RETRY_MS)
      await new Promise((done) => setTimeout(done, Math.max(PAUSE_MS, 2 * (performance.now() - began))))
    }
    this.isBusy = false
  }

  private async once(isAsked: boolean): Promise<boolean> {
    try {
      const data = await this.load(this.abort.signal)
      const isHeld = !isAsked && streamState.value === 'paused'
      if (!this.abort.signal.aborted && !isHeld) this.settle(data, undefined)
      return false
    } catch (failure) {
      if (this.abort.signal.aborted) return false
      const problem = failure instanceof Problem ? failure : new Problem(0, 'defect', 'This page has a defect', String(failure), '')
      this.settle(undefined, problem)
      return problem.status === 0 || problem.status === 503
    }
  }
}

/** Return what a call that may not exist here answers; undefined where the service says 404. */
export async function orAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (failure) {
    if (failure instanceof Problem && failure.status === 404) return undefined
    throw failure
  }
}
