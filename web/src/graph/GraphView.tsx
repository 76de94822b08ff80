// A graph of steps: drawn as large as it is, zoomed by buttons or keys, folded and opened by its containers.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { parameter, place, setParameters } from '../router'
import { Button } from '../ui/controls'
import { Icon } from '../ui/icons'
import { Status } from '../ui/status'
import { arrange, FOLDED_ABOVE, type Box, type Graph, type GraphNode } from './arrange'
import { failedWay, type NodeState } from './states'
import './graph.css'

interface Props {
  graph: Graph
  states?: ReadonlyMap<string, NodeState>
  /** Whether a node can be chosen; which one is kept in the address as `step`. */
  canOpen?: boolean
}

const NO_STATES: ReadonlyMap<string, NodeState> = new Map()
const ZOOMS = [0.25, 0.4, 0.6, 0.8, 1, 1.25, 1.6]

export default function GraphView({ graph, states = NO_STATES, canOpen = false }: Props) {
  const flipped = place.value.query.getAll('fold').join('\t')
  const shape = useMemo(() => JSON.stringify(graph), [graph])
  const top = useMemo(() => arrange(graph, new Set(flipped ? flipped.split('\t') : [])), [shape, flipped])
  const way = useMemo(() => failedWay(graph, states), [shape, states])
  const frame = useRef<HTMLDivElement>(null)
  const [zoom, setZoom] = useState(1)
  const fit = () => {
    const { clientWidth = top.width, clientHeight = top.height } = frame.current ?? {}
    setZoom(Math.max(0.25, Math.min(1, clientWidth / top.width, Math.max(0.6, clientHeight / top.height))))
  }
  useEffect(fit, [top.width, top.height])
  const step = (by: 1 | -1) => setZoom((now) => (by > 0 ? ZOOMS.find((one) => one > now + 0.01) : ZOOMS.findLast((one) => one < now - 0.01)) ?? now)
  const shared = { states, way, canOpen, chosen: parameter('step') }
  return (
    <div class="graph">
      <div class="graph-tools">
        <span class="faint">{graph.nodes.length} steps{graph.nodes.length > FOLDED_ABOVE && ', containers folded'}</span>
        <Button class="small" aria-label="Smaller" onClick={() => step(-1)}>−</Button>
        <Button class="small" onClick={fit}>Fit</Button>
        <Button class="small" aria-label="Larger" onClick={() => step(1)}>+</Button>
      </div>
      <div class="graph-frame" ref={frame} tabIndex={0} role="group" aria-label="Graph of the steps">
        <div class="graph-sheet" style={{ width: `${top.width * zoom}px`, height: `${top.height * zoom}px` }}>
          <div class="graph-scale" style={{ width: `${top.width}px`, height: `${top.height}px`, transform: `scale(${zoom})` }}>
            <Inside box={top} {...shared} />
          </div>
        </div>
      </div>
    </div>
  )
}

interface Shared {
  states: ReadonlyMap<string, NodeState>
  way: ReadonlySet<string>
  canOpen: boolean
  chosen: string
}

function Inside({ box, ...shared }: { box: Box } & Shared) {
  return (
    <>
      <Lines box={box} way={shared.way} />
      {box.children.map((child) => <One key={child.id} box={child} {...shared} />)}
    </>
  )
}

function Lines({ box, way }: { box: Box; way: ReadonlySet<string> }) {
  if (!box.lines.length) return null
  return (
    <>
      <svg class="graph-lines" width={box.width} height={box.height} aria-hidden="true">
        {box.lines.map(({ path, kind, from, to, label }) => (
          <g key={`${from}\t${to}\t${kind}\t${label}`} class={`graph-line ${kind} ${way.has(from) && way.has(to) ? 'way' : ''}`}>
            <path d={path} />
            <path class="graph-tip" d={tip(path)} />
          </g>
        ))}
      </svg>
      {box.lines.filter(({ label }) => label).map(({ from, to, kind, label, labelAt }) => (
        <span key={`${from}\t${to}\t${kind}`} class="graph-word" style={{ left: `${labelAt.x}px`, top: `${labelAt.y}px` }}>{label.replaceAll('_', ' ')}</span>
      ))}
    </>
  )
}

function tip(path: string): string {
  const numbers = path.match(/-?[\d.]+/g)?.map(Number) ?? []
  const [x2 = 0, y2 = 0] = numbers.slice(-2)
  const [x1 = 0, y1 = 0] = numbers.slice(-4, -2)
  const angle = Math.atan2(y2 - y1, x2 - x1)
  const at = (turn: number) => `${(x2 - 7 * Math.cos(angle + turn)).toFixed(1)},${(y2 - 7 * Math.sin(angle + turn)).toFixed(1)}`
  return `M${at(0.45)}L${x2},${y2}L${at(-0.45)}`
}

function One({ box, ...shared }: { box: Box } & Shared) {
  const position = { left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px`, height: `${box.height}px` }
  const isWay = shared.way.has(box.id)
  if (box.kind === 'step' || box.isFolded) {
    return (
      <div class={`graph-node ${isWay ? 'way' : ''} ${shared.chosen === box.id ? 'chosen' : ''} ${box.isFolded ? 'folded' : ''}`} style={position}>
        <Body box={box} {...shared} />
        {box.isFolded && <Fold box={box} />}
      </div>
    )
  }
  return (
    <div class={`graph-box ${box.kind} ${isWay ? 'way' : ''}`} style={position}>
      <div class="graph-box-head">
        {box.node ? <Body box={box} {...shared} /> : <span class="cut faint">{box.label}</span>}
        {box.node && <Fold box={box} />}
      </div>
      <Inside box={box} {...shared} />
    </div>
  )
}

function Body({ box, states, canOpen, chosen }: { box: Box } & Shared) {
  const node = box.node as GraphNode
  const state = states.get(box.id)
  const says = state && (state.total > 1 ? `${state.status.replaceAll('_', ' ')}, ${state.ended} of ${state.total}` : undefined)
  const inner = (
    <>
      <strong class="cut">{box.label}</strong>
      <span class="graph-says">
        {state ? <Status status={state.status} {...(says ? { says } : {})} /> : <span class="faint">{node.operator_type.replaceAll('_', ' ')}</span>}
      </span>
    </>
  )
  if (!canOpen) return <div class="graph-body" title={node.id}>{inner}</div>
  const open = () => setParameters({ step: chosen === box.id ? undefined : box.id })
  return <button type="button" class="graph-body" title={node.id} aria-pressed={chosen === box.id} onClick={open}>{inner}</button>
}

function Fold({ box }: { box: Box }) {
  const flip = () => {
    const flipped = place.value.query.getAll('fold')
    setParameters({ fold: flipped.includes(box.id) ? flipped.filter((id) => id !== box.id) : [...flipped, box.id] })
  }
  return (
    <button type="button" class="graph-fold" aria-expanded={!box.isFolded} aria-label={`${box.isFolded ? 'Open' : 'Fold'} ${box.label}`} onClick={flip}>
      {box.inside}<Icon name={box.isFolded ? 'right' : 'down'} size={12} />
    </button>
  )
}
