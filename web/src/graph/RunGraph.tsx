// The graph of an executed run: its definition, with what became of each step, and the steps of the node that is open.
import { useMemo } from 'preact/hooks'
import { get, type Run, type Step } from '../api'
import { errorLine, plural } from '../format'
import { orAbsent, useLive } from '../live'
import { parameter, setParameters } from '../router'
import { Button, Empty, Json, ProblemNote, Skeleton } from '../ui/controls'
import { Status } from '../ui/status'
import { Duration } from '../ui/time'
import GraphView from './GraphView'
import { nodeOf, statesOf } from './states'

const SHOWN_MOST = 50

export default function RunGraph({ run, steps }: { run: Run; steps: readonly Step[] }) {
  const { workflow_name: name, workflow_version: version } = run
  const graph = useLive(`graph ${name} ${version}`, () => orAbsent(get('/v1/workflows/{name}/{version}/graph', { path: { name, version } })), false)
  const states = useMemo(() => statesOf(steps), [steps])
  const chosen = parameter('step')
  if (graph.problem) return <ProblemNote problem={graph.problem} />
  if (graph.isLoading) return <Skeleton />
  if (!graph.data) return <Empty title="No graph">The definition {name} {version} is not there any more.</Empty>
  return (
    <>
      <GraphView graph={graph.data} states={states} canOpen />
      {chosen && <OpenSteps path={chosen} steps={steps.filter(({ path }) => nodeOf(path) === chosen)} />}
    </>
  )
}

function OpenSteps({ path, steps }: { path: string; steps: Step[] }) {
  const sorted = [...steps].sort((one, other) => Number(other.status === 'failed') - Number(one.status === 'failed'))
  return (
    <section class="graph-steps" aria-label={`Step ${path}`}>
      <header class="panel-head"><h2><code>{path}</code></h2><Button class="small" icon="close" onClick={() => setParameters({ step: undefined })}>Close</Button></header>
      {!steps.length && <p class="panel-body faint">It has not been reached.</p>}
      {steps.length === 1 && <OneStep step={steps[0] as Step} />}
      {steps.length > 1 && (
        <div class="table-wrap">
          <table class="table">
            <thead><tr><th>Step</th><th>Status</th><th>Attempt</th><th>Took</th><th>Error</th></tr></thead>
            <tbody>
              {sorted.slice(0, SHOWN_MOST).map((step) => (
                <tr key={step.path}>
                  <td>{step.task_id ? <a href={`/tasks/${step.task_id}`}><code>{step.path}</code></a> : <code>{step.path}</code>}</td>
                  <td><Status status={step.status} /></td><td class="number">{step.attempt}</td>
                  <td><Duration from={step.started_at} to={step.completed_at} /></td>
                  <td class="fill cut">{errorLine(step.error as Record<string, unknown> | null)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {steps.length > SHOWN_MOST && <p class="panel-body faint">{plural(steps.length - SHOWN_MOST, 'step')} more; failed ones come first.</p>}
        </div>
      )}
    </section>
  )
}

function OneStep({ step }: { step: Step }) {
  return (
    <div class="panel-body stack">
      <div class="row">
        <Status status={step.status} /><span class="faint">{step.operator_type.replaceAll('_', ' ')}, attempt {step.attempt}</span>
        <Duration from={step.started_at} to={step.completed_at} />
        {step.task_id && <a class="button small" href={`/tasks/${step.task_id}`}>Open the task</a>}
      </div>
      {step.awaits && <p>Waits for <code>{step.awaits}</code></p>}
      {step.error !== null && <Json value={step.error} label="error" />}
      {step.error === null && step.result !== null && <Json value={step.result} label="result" />}
    </div>
  )
}
