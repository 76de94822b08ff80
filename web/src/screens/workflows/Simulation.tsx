// Trying a definition without running it: every step returns null unless told to fail, and waits are over at once.
import { useEffect, useState } from 'preact/hooks'
import { call, Problem, type Schemas } from '../../api'
import GraphView from '../../graph/GraphView'
import { nodeOf, statesOf, type NodeState } from '../../graph/states'
import { parameter, place, setParameters } from '../../router'
import { Button, Panel, ProblemNote } from '../../ui/controls'
import { Status } from '../../ui/status'
import type { Graph } from '../../graph/arrange'
import { readValue } from './StartRun'

type Action = Schemas['ScriptAction']
type Effects = Partial<Record<string, { task?: string; event?: string; child?: string; seconds?: number; attempt?: number }[]>>
type Outcome = Schemas['SimulatedRun']

const ROUNDS_MOST = 200
const ACTIONS_MOST = 900

/** Play a run to its end: what is runnable is worked, what waits is let go on. */
async function play(definition: object, inputs: unknown, fails: ReadonlySet<string>): Promise<Outcome> {
  const steps: Action[] = [{ do: 'start' }]
  let seen = 0
  for (let round = 0; ; round += 1) {
    const answer = await call('post', '/v1/workflows/simulate', { body: { definition, inputs, steps } as Schemas['WorkflowSimulation'] })
    const next = answer.steps.slice(seen).flatMap((step) => reactions(step.then as Effects, fails))
    seen = answer.steps.length
    if (answer.final.run_status !== 'running' || !next.length || round >= ROUNDS_MOST || seen + next.length > ACTIONS_MOST) return answer
    steps.push(...next)
  }
}

function reactions(then: Effects, fails: ReadonlySet<string>): Action[] {
  const waits = [...(then['timers'] ?? []), ...(then['retry_in'] ?? [])].map(({ seconds = 0 }) => seconds)
  return [
    ...(then['runnable'] ?? []).map(({ task = '' }): Action => (
      fails.has(nodeOf(task)) ? { do: 'fail', task, error: { type: 'Simulated', message: 'fails as it was told to' }, retryable: false } : { do: 'complete', task, result: null })),
    ...(then['children'] ?? []).map(({ task = '', child = '' }): Action => ({ do: 'child', task, child, status: 'completed', result: null })),
    ...[...new Set((then['awaiting'] ?? []).map(({ event = '' }) => event))].map((event): Action => ({ do: 'event', event, payload: null })),
    ...(waits.length ? [{ do: 'advance', seconds: Math.max(...waits) } as Action] : []),
  ]
}

export function Simulation({ definition, graph }: { definition: Schemas['WorkflowDefinition']; graph: Graph }) {
  const failing = place.value.query.getAll('fails')
  const inputs = parameter('inputs')
  const [outcome, setOutcome] = useState<Outcome>()
  const [problem, setProblem] = useState<Problem>()
  const chosen = parameter('step')
  const wish = `${definition.workflow_hash} ${failing.join('\t')} ${inputs}`
  useEffect(() => {
    let isCurrent = true
    const timer = setTimeout(() => {
      play(definition.document, inputs ? readValue(inputs) : {}, new Set(failing)).then(
        (answer) => isCurrent && (setOutcome(answer), setProblem(undefined)),
        (failure: unknown) => isCurrent && failure instanceof Problem && setProblem(failure),
      )
    }, 200)
    return () => {
      isCurrent = false
      clearTimeout(timer)
    }
  }, [wish])
  const states: Map<string, NodeState> = statesOf(Object.entries(outcome?.final.tasks ?? {}).map(([path, status]) => ({ path, status: status as Schemas['StepStatus'] })))
  const isFailing = failing.includes(chosen)
  const flip = () => setParameters({ fails: isFailing ? failing.filter((one) => one !== chosen) : [...failing, chosen] })
  return (
    <>
      <Panel>
        <div class="panel-body simulate">
          <label class="field grow"><span>Inputs</span><input class="input" value={inputs} placeholder="{}" spellcheck={false} onInput={(event) => setParameters({ inputs: event.currentTarget.value || undefined })} /></label>
          <div class="row">
            {outcome && <span class="soft">The run ends <Status status={outcome.final.run_status} /></span>}
            {chosen && <Button icon={isFailing ? 'completed' : 'failed'} onClick={flip}>{isFailing ? `Let ${chosen} succeed` : `Let ${chosen} fail`}</Button>}
            {failing.length > 0 && <Button variant="quiet" onClick={() => setParameters({ fails: undefined })}>All succeed</Button>}
          </div>
        </div>
        <p class="panel-body soft says-top">Nothing is stored and no worker is asked. Each step returns null; choose one in the graph to let it fail.</p>
        <ProblemNote problem={problem} />
      </Panel>
      <Panel><GraphView graph={graph} states={states} canOpen /></Panel>
      {outcome && <Script outcome={outcome} />}
    </>
  )
}

const WORDS: Record<string, string> = { runnable: 'begins', completed: 'completes', failed: 'fails', skipped: 'is skipped', upstream_failed: 'cannot begin', cancelled: 'is cancelled', retry_in: 'is tried again later', timers: 'waits', awaiting: 'waits for an event', emitted: 'emits' }

function Script({ outcome }: { outcome: Outcome }) {
  const name = (one: unknown) => (typeof one === 'string' ? one : (one as { task?: string; event?: string }).task ?? (one as { event?: string }).event ?? '')
  return (
    <Panel title="What happens" aside={`${outcome.steps.length} calls`}>
      <ol class="script">
        {outcome.steps.slice(0, 200).map((step, at) => {
          const { do: verb, then, ...rest } = step as Schemas['SimulatedStep'] & { task?: string; event?: string; seconds?: number }
          return (
            <li key={at}>
              <strong>{verb}</strong> <code>{rest.task ?? rest.event ?? (rest.seconds === undefined ? '' : `${rest.seconds} s`)}</code>
              <span class="soft">{Object.entries(then).filter(([kind, list]) => WORDS[kind] && Array.isArray(list)).map(([kind, list]) => `${(list as unknown[]).map(name).slice(0, 6).join(', ')} ${WORDS[kind]}`).join('; ')}</span>
            </li>
          )
        })}
      </ol>
    </Panel>
  )
}
