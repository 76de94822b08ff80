// What a node of a graph shows: its steps put together, for a loop has one node and many steps.
import type { Schemas, Step } from '../api'
import type { Graph } from './arrange'

export interface NodeState {
  status: string
  /** How many steps have ended, of how many; shown where there are several. */
  ended: number
  total: number
  isBad: boolean
}

const FIRST: readonly Schemas['StepStatus'][] =
  ['failed', 'running', 'runnable', 'upstream_failed', 'cancelled', 'waiting', 'completed', 'skipped']
const OPEN = new Set(['waiting', 'runnable', 'running'])
const BAD = new Set(['failed', 'upstream_failed'])

/** Return the node that a step belongs to: `[]` stands for any iteration. */
export const nodeOf = (path: string) => path.replace(/\[\d+\]/g, '[]')

export function statesOf(steps: readonly Pick<Step, 'path' | 'status'>[]): Map<string, NodeState> {
  const states = new Map<string, NodeState>()
  for (const { path, status } of steps) {
    const id = nodeOf(path)
    const state = states.get(id) ?? { status, ended: 0, total: 0, isBad: false }
    state.total += 1
    if (!OPEN.has(status)) state.ended += 1
    if (BAD.has(status)) state.isBad = true
    if (rank(status) < rank(state.status)) state.status = status
    states.set(id, state)
  }
  return states
}

const rank = (status: string) => FIRST.indexOf(status as Schemas['StepStatus'])

/** Return the steps that led to one that failed, and those that never began for it. */
export function failedWay(graph: Graph, states: ReadonlyMap<string, NodeState>): Set<string> {
  const before = new Map<string, string[]>()
  for (const { from, to } of graph.edges) before.set(to, [...(before.get(to) ?? []), from])
  const found = new Set<string>()
  const open = [...states].filter(([, state]) => state.status === 'failed').map(([id]) => id)
  while (open.length) {
    const id = open.pop() as string
    if (found.has(id)) continue
    found.add(id)
    open.push(...(before.get(id) ?? []))
  }
  for (const [id, state] of states) if (state.status === 'upstream_failed') found.add(id)
  return found
}
