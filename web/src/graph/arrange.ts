// Where the steps of a graph stand: boxes in boxes, each level laid out by itself, and the lines between them.
import dagre from '@dagrejs/dagre'
import type { Schemas } from '../api'

export type Graph = Schemas['WorkflowGraph']
export type GraphNode = Schemas['GraphNode']
export type GraphEdge = Schemas['GraphEdge']

export interface Box {
  id: string
  kind: 'step' | 'container' | 'branch'
  label: string
  node: GraphNode | undefined
  x: number
  y: number
  width: number
  height: number
  /** How many steps stand in it. */
  inside: number
  isFolded: boolean
  children: Box[]
  lines: Line[]
}

export interface Line {
  from: string
  to: string
  kind: GraphEdge['kind']
  label: string
  path: string
  labelAt: { x: number; y: number }
}

export const NODE = { width: 184, height: 50 }
const HEAD = 34
const PAD = 14

/** Containers are folded at first in graphs of more steps than this. */
export const FOLDED_ABOVE = 200

/** Return all boxes in one box; `flipped` are the containers that are not as they are at first. */
export function arrange(graph: Graph, flipped: ReadonlySet<string>): Box {
  const tree = new Tree(graph, flipped)
  const top: Box = { ...empty('', 'branch', ''), children: tree.childrenOf('', undefined) }
  const { placed, isDeep } = tree.lines()
  layOut(top, placed, isDeep, 0)
  return top
}

function empty(id: string, kind: Box['kind'], label: string): Box {
  return { id, kind, label, node: undefined, x: 0, y: 0, ...NODE, inside: 0, isFolded: false, children: [], lines: [] }
}

interface Between {
  from: string
  to: string
  edge: GraphEdge
}

class Tree {
  private readonly inner = new Map<string, { node: GraphNode; branch: string | null }[]>()
  private readonly parents = new Map<string, string>()
  private readonly isFoldedAtFirst: boolean
  /** The chain of boxes that each shown or hidden step stands in, from the outermost to itself. */
  private readonly chains = new Map<string, string[]>()

  constructor(private readonly graph: Graph, private readonly flipped: ReadonlySet<string>) {
    this.isFoldedAtFirst = graph.nodes.length > FOLDED_ABOVE
    const nodes = new Map(graph.nodes.map((node) => [node.id, node]))
    for (const { kind, from, to, label } of graph.edges) {
      const node = nodes.get(to)
      if (kind !== 'contains' || !node) continue
      this.inner.set(from, [...(this.inner.get(from) ?? []), { node, branch: label }])
      this.parents.set(to, from)
    }
  }

  childrenOf(id: string, branch: string | null | undefined, chain: string[] = []): Box[] {
    const members = id
      ? (this.inner.get(id) ?? []).filter((member) => branch === undefined || member.branch === branch)
      : this.graph.nodes.filter((node) => !this.parents.has(node.id)).map((node) => ({ node, branch: null }))
    return members.map(({ node }) => this.box(node, chain))
  }

  private box(node: GraphNode, chain: string[]): Box {
    const mine = [...chain, node.id]
    this.chains.set(node.id, mine)
    const members = this.inner.get(node.id)
    const box: Box = { ...empty(node.id, members ? 'container' : 'step', node.task_id), node }
    if (!members) return box
    const branches = [...new Set(members.map((member) => member.branch))]
    const children = branches.flatMap((branch) => this.branch(node.id, branch, mine))
    const inside = children.reduce((sum, child) => sum + child.inside + (child.kind === 'branch' ? 0 : 1), 0)
    const isFolded = this.isFoldedAtFirst !== this.flipped.has(node.id)
    return { ...box, inside, isFolded, children: isFolded ? [] : children }
  }

  private branch(id: string, branch: string | null, chain: string[]): Box[] {
    if (branch === null) return this.childrenOf(id, null, chain)
    const name = `${id}\n${branch}`
    const children = this.childrenOf(id, branch, [...chain, name])
    const inside = children.reduce((sum, child) => sum + child.inside + 1, 0)
    return [{ ...empty(name, 'branch', branch), inside, children }]
  }

  /** Return the lines by the box they are drawn in, each from and to what stands directly in it. */
  lines(): { placed: Map<string, Between[]>; isDeep: (id: string) => boolean } {
    const placed = new Map<string, Between[]>()
    for (const edge of this.graph.edges) {
      if (edge.kind === 'contains') continue
      const [one, other] = [this.chains.get(edge.from), this.chains.get(edge.to)]
      if (!one || !other) continue
      let at = 0
      while (at < one.length && one[at] === other[at]) at += 1
      const [from, to] = [one[at], other[at]]
      if (from === undefined || to === undefined) continue
      const home = one[at - 1] ?? ''
      placed.set(home, [...(placed.get(home) ?? []), { from, to, edge }])
    }
    return { placed, isDeep: (id) => this.inner.has(id) }
  }
}

function layOut(box: Box, placed: Map<string, Between[]>, isDeep: (id: string) => boolean, level: number): void {
  for (const child of box.children) {
    if (child.children.length) layOut(child, placed, isDeep, level + 1)
    else if (child.kind === 'branch') child.height = HEAD
  }
  const [head, pad] = level ? [HEAD, PAD] : [0, PAD]
  const graph = new dagre.graphlib.Graph({ multigraph: true })
  graph.setGraph({ rankdir: 'TB', ranksep: 42, nodesep: 26, edgesep: 16, marginx: pad, marginy: pad })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const child of box.children) graph.setNode(child.id, { width: child.width, height: child.height })
  const drawn = new Map<string, Between>()
  for (const between of placed.get(box.id) ?? []) {
    const name = `${between.from}\t${between.to}\t${between.edge.kind}\t${between.edge.label ?? ''}`
    if (drawn.has(name) || !graph.hasNode(between.from) || !graph.hasNode(between.to)) continue
    drawn.set(name, between)
    graph.setEdge(between.from, between.to, { width: (between.edge.label?.length ?? 0) * 7, height: between.edge.label ? 18 : 0, labelpos: 'c' }, name)
  }
  dagre.layout(graph)
  for (const child of box.children) {
    const { x, y } = graph.node(child.id) as { x: number; y: number }
    child.x = x - child.width / 2
    child.y = y - child.height / 2 + head
  }
  box.lines = [...drawn].map(([name, { from, to, edge }]) => {
    const { points, x, y } = graph.edge(from, to, name) as { points: { x: number; y: number }[]; x?: number; y?: number }
    const moved = anchored(points, graph.node(from) as Placed, graph.node(to) as Placed).map((point) => ({ x: point.x, y: point.y + head }))
    const middle = moved[Math.floor(moved.length / 2)] ?? { x: 0, y: 0 }
    const labelAt = x === undefined || y === undefined ? middle : { x, y: y + head }
    return { from: edge.from, to: edge.to, kind: edge.kind, label: edge.label ?? '', path: curve(moved), labelAt }
  })
  const { width = 0, height = 0 } = graph.graph()
  box.width = Math.max(width, NODE.width + 2 * pad)
  box.height = Math.max(height, 0) + head
  const slack = (box.width - width) / 2
  if (slack > 0) {
    for (const child of box.children) child.x += slack
    box.lines = box.lines.map((line) => ({ ...line, path: line.path.replace(/(-?[\d.]+),/g, (_, x: string) => `${Number(x) + slack},`), labelAt: { x: line.labelAt.x + slack, y: line.labelAt.y } }))
  }
}

interface Placed {
  x: number
  y: number
  height: number
}

/** Let a line begin in the middle below a box, and end in the middle above another. */
function anchored(points: { x: number; y: number }[], from: Placed, to: Placed): { x: number; y: number }[] {
  if (from.y >= to.y) return points
  return [{ x: from.x, y: from.y + from.height / 2 }, ...points.slice(1, -1), { x: to.x, y: to.y - to.height / 2 }]
}

function curve(points: { x: number; y: number }[]): string {
  const [first, ...rest] = points
  if (!first) return ''
  const at = ({ x, y }: { x: number; y: number }) => `${x.toFixed(1)},${y.toFixed(1)}`
  if (rest.length < 2) return `M${at(first)}${rest.map((point) => `L${at(point)}`).join('')}`
  let path = `M${at(first)}`
  for (const [index, point] of rest.slice(0, -1).entries()) {
    const next = rest[index + 1] as { x: number; y: number }
    const isLast = index === rest.length - 2
    const end = isLast ? next : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 }
    path += `Q${at(point)} ${at(end)}`
  }
  return path
}
