// One version of a workflow: its graph, its source, what changed since another version, its runs, and trying it out.
import { useState } from 'preact/hooks'
import { addressOf, ask, authorization, get, type Schemas } from '../../api'
import GraphView from '../../graph/GraphView'
import { useLive } from '../../live'
import { currentTab, Button, Empty, Panel, ProblemNote, Skeleton, Tabs } from '../../ui/controls'
import { Status } from '../../ui/status'
import { Duration, Time } from '../../ui/time'
import { Id } from '../../ui/controls'
import { parameter, setParameters, navigate } from '../../router'
import { Simulation } from './Simulation'
import { StartRun } from './StartRun'
import './workflows.css'

export default function WorkflowScreen({ names }: { names: Record<string, string> }) {
  const name = names['name'] ?? ''
  const versions = useLive(`workflow ${name}`, (abort) => get('/v1/workflows/{name}', { path: { name }, query: { limit: 200 }, abort }), false)
  const version = names['version'] ?? versions.data?.latest ?? ''
  const path = { name, version }
  const definition = useLive(version && `definition ${name} ${version}`, (abort) => get('/v1/workflows/{name}/{version}', { path, abort }), false)
  const graph = useLive(version && `graph ${name} ${version}`, (abort) => get('/v1/workflows/{name}/{version}/graph', { path, abort }), false)
  const schedules = useLive(`schedules of ${name}`, (abort) => get('/v1/schedules', { query: { workflow_name: name }, abort }), (change) => change.kind === 'schedule')
  const problem = versions.problem ?? definition.problem
  if (problem) return <div class="screen">{problem.status === 404 ? <Unknown name={name} version={names['version']} /> : <ProblemNote problem={problem} />}</div>
  if (!versions.data || !definition.data) return <div class="screen"><Skeleton /></div>
  const tabs = [
    { name: 'graph', title: 'Graph', count: graph.data?.nodes.length },
    { name: 'runs', title: 'Runs' },
    { name: 'simulate', title: 'Simulate' },
    { name: 'source', title: 'Source' },
    { name: 'versions', title: 'Versions', count: versions.data.versions.length },
    { name: 'schedules', title: 'Schedules', count: schedules.data?.items.length },
  ]
  const tab = currentTab(tabs)
  return (
    <div class="screen">
      <Head definition={definition.data} versions={versions.data} />
      {definition.data.warnings.length > 0 && <div class="findings warning">{definition.data.warnings.map((one) => <p key={one.pointer + one.code}><code>{one.pointer}</code> {one.detail}</p>)}</div>}
      <Tabs tabs={tabs} current={tab} />
      <ProblemNote problem={graph.problem} />
      {tab === 'graph' && (graph.data ? <Panel><GraphView graph={graph.data} /></Panel> : <Skeleton />)}
      {tab === 'runs' && <Runs name={name} version={version} />}
      {tab === 'simulate' && graph.data && <Simulation definition={definition.data} graph={graph.data} />}
      {tab === 'source' && <Source name={name} version={version} />}
      {tab === 'versions' && <Versions versions={versions.data} />}
      {tab === 'schedules' && <Schedules items={schedules.data?.items} name={name} />}
    </div>
  )
}

function Unknown({ name, version }: { name: string; version: string | undefined }) {
  return (
    <Empty title={`No workflow ${name}${version ? ` ${version}` : ''} is registered`} curl={`curl -H 'Content-Type: application/yaml' --data-binary @${name}.yaml ${location.origin}/v1/workflows`}>
      Its runs may be reported from outside: <a href={`/runs?workflow_name=${encodeURIComponent(name)}`}>runs of this name</a>.
    </Empty>
  )
}

function Head({ definition, versions }: { definition: Schemas['WorkflowDefinition']; versions: Schemas['WorkflowVersions'] }) {
  const [isStarting, setStarting] = useState(false)
  const { workflow_name: name, workflow_version: version } = definition
  return (
    <header class="screen-head">
      <div class="grow">
        <div class="crumbs"><a href="/workflows">Workflows</a></div>
        <h1>{name}</h1>
        <div class="row soft">
          <select class="input" aria-label="Version" value={version} onChange={(event) => navigate(`/workflows/${name}/${event.currentTarget.value}${location.search}`)}>
            {versions.versions.map((one) => <option key={one.workflow_version} value={one.workflow_version}>{one.workflow_version}{one.workflow_version === versions.latest ? ' (newest)' : ''}</option>)}
          </select>
          {definition.description && <span>{definition.description}</span>}
        </div>
      </div>
      <Button variant="main" icon="running" onClick={() => setStarting(true)}>Start a run</Button>
      {isStarting && <StartRun definition={definition} onClose={() => setStarting(false)} />}
    </header>
  )
}

function Source({ name, version }: { name: string; version: string }) {
  const source = useLive(`source ${name} ${version}`, async (signal) => {
    const address = addressOf('/v1/workflows/{name}/{version}', { name, version })
    return (await ask(address, { headers: { accept: 'application/yaml', ...authorization() }, signal })).text()
  }, false)
  if (source.problem) return <ProblemNote problem={source.problem} />
  if (source.data === undefined) return <Skeleton />
  return (
    <Panel>
      <pre class="source" tabIndex={0} aria-label="Source">{source.data.trimEnd().split('\n').map((line, at) => <span key={at}><i>{at + 1}</i>{line}{'\n'}</span>)}</pre>
    </Panel>
  )
}

function Versions({ versions }: { versions: Schemas['WorkflowVersions'] }) {
  const all = versions.versions.map((one) => one.workflow_version)
  const to = parameter('to') || all[0] || ''
  const from = parameter('from') || all[all.indexOf(to) + 1] || ''
  const pick = (label: string, value: string, which: 'from' | 'to') => (
    <label class="check"><span class="soft">{label}</span>
      <select class="input" value={value} onChange={(event) => setParameters({ [which]: event.currentTarget.value })}>{all.map((one) => <option key={one}>{one}</option>)}</select>
    </label>
  )
  return (
    <>
      <Panel>
        <div class="table-wrap">
          <table class="table">
            <thead><tr><th>Version</th><th>What it is</th><th>By</th><th>Registered</th><th>Hash</th></tr></thead>
            <tbody>
              {versions.versions.map((one) => (
                <tr key={one.workflow_version}>
                  <td><a href={`/workflows/${versions.workflow_name}/${one.workflow_version}`}><strong>{one.workflow_version}</strong></a></td>
                  <td class="fill cut soft">{one.description}</td><td>{one.created_by}</td><td><Time at={one.created_at} /></td><td><Id id={one.workflow_hash} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
      {all.length > 1 && from && (
        <Panel title={<>What changed</>} aside={<>{pick('from', from, 'from')}{pick('to', to, 'to')}</>}>
          <Diff name={versions.workflow_name} from={from} to={to} />
        </Panel>
      )}
    </>
  )
}

function Diff({ name, from, to }: { name: string; from: string; to: string }) {
  const diff = useLive(`diff ${name} ${from} ${to}`, (abort) => get('/v1/workflows/{name}/diff', { path: { name }, query: { from, to }, abort }), false)
  if (diff.problem) return <ProblemNote problem={diff.problem} />
  if (!diff.data) return <Skeleton rows={3} />
  const { added, removed, changed, workflow } = diff.data
  if (!added.length && !removed.length && !changed.length && !workflow.length) return <p class="panel-body faint">Nothing but the version.</p>
  return (
    <div class="panel-body diff">
      {added.map((path) => <p key={path} class="added"><b>+</b> step <code>{path}</code></p>)}
      {removed.map((path) => <p key={path} class="removed"><b>−</b> step <code>{path}</code></p>)}
      {changed.map((step) => <div key={step.step}><p><b>~</b> step <code>{step.step}</code></p><Changes items={step.changes} /></div>)}
      {workflow.length > 0 && <div><p><b>~</b> the workflow</p><Changes items={workflow} /></div>}
    </div>
  )
}

function Changes({ items }: { items: Schemas['DocumentChange'][] }) {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  return (
    <dl class="changes">
      {items.map((one) => (
        <div key={one.pointer}>
          <dt><code>{one.pointer}</code></dt>
          <dd>{one.before !== null && <del>{text(one.before)}</del>}{one.after !== null && <ins>{text(one.after)}</ins>}</dd>
        </div>
      ))}
    </dl>
  )
}

function Runs({ name, version }: { name: string; version: string }) {
  const runs = useLive(`runs of ${name} ${version}`, (abort) => get('/v1/workflow-runs', { query: { workflow_name: [name], workflow_version: [version], limit: 25 }, abort }), (change) => change.workflow_name === name)
  if (runs.problem) return <ProblemNote problem={runs.problem} />
  if (!runs.data) return <Skeleton />
  if (!runs.data.items.length) return <Panel><Empty title="No runs of this version" curl={`curl --json '{}' ${location.origin}/v1/workflows/${name}/${version}/runs`}>Start one by the button above, or by this call.</Empty></Panel>
  return (
    <Panel aside={<a href={`/runs?workflow_name=${name}`}>all of this workflow</a>} title="Newest runs">
      <div class="table-wrap">
        <table class="table">
          <thead><tr><th>Status</th><th>Run</th><th>Started</th><th>Took</th><th>Who</th></tr></thead>
          <tbody>
            {runs.data.items.map((run) => (
              <tr key={run.workflow_run_id}>
                <td><Status status={run.status} /></td><td><a href={`/runs/${run.workflow_run_id}`}><code>{run.workflow_run_id.slice(-12)}</code></a></td>
                <td><Time at={run.started_at ?? run.created_at} isAgo /></td><td><Duration from={run.started_at} to={run.completed_at} /></td><td class="fill cut soft">{run.created_by}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

function Schedules({ items, name }: { items: Schemas['Schedule'][] | undefined; name: string }) {
  if (!items) return <Skeleton rows={2} />
  if (!items.length) return <Panel><Empty title="No schedule" curl={`curl --json '{"workflow_name": "${name}", "cron": "0 2 * * *"}' ${location.origin}/v1/schedules`}>Runs of it begin when somebody starts them.</Empty></Panel>
  return (
    <Panel>
      <div class="table-wrap">
        <table class="table">
          <thead><tr><th>When</th><th>State</th><th>Next</th></tr></thead>
          <tbody>
            {items.map((one) => (
              <tr key={one.schedule_id}>
                <td><a href={`/schedules/${one.schedule_id}`}><code>{one.cron}</code></a> <span class="soft">{one.timezone}</span></td>
                <td><Status status={one.paused ? 'paused' : 'ok'} says={one.paused ? 'paused' : 'active'} /></td><td class="fill"><Time at={one.next_fire_at} isAgo /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}
