// All registered workflows, by name, with what became of their runs; a file that is dropped here is registered.
import { useState } from 'preact/hooks'
import { get, type Schemas } from '../../api'
import { count, plural } from '../../format'
import { useLive } from '../../live'
import { Empty, Panel, ProblemNote, ProgressBar, Skeleton } from '../../ui/controls'
import { Time } from '../../ui/time'
import { RegisterFile } from './RegisterFile'
import './workflows.css'

type Counts = Schemas['WorkflowRunCount'][]

const CURL = () => `curl -H 'Content-Type: application/yaml' --data-binary @pipeline.yaml ${location.origin}/v1/workflows`

export default function Workflows() {
  const [file, setFile] = useState<File>()
  const [isOver, setOver] = useState(false)
  const workflows = useLive('workflows', (abort) => get('/v1/workflows', { query: { limit: 200 }, abort }), false)
  const counts = useLive('workflow counts', (abort) => get('/v1/workflow-runs/counts', { query: { by: 'workflow_name,status' }, abort }), (change) => change.kind === 'workflow_run')
  const drop = (event: DragEvent) => {
    event.preventDefault()
    setOver(false)
    setFile(event.dataTransfer?.files[0])
  }
  return (
    <div class={`screen ${isOver ? 'dropping' : ''}`} onDragOver={(event) => { event.preventDefault(); setOver(true) }} onDragLeave={() => setOver(false)} onDrop={drop}>
      <header class="screen-head">
        <div class="grow"><h1>Workflows</h1><p class="soft">Drop a definition here, in YAML or JSON, to check and register it.</p></div>
        <label class="button main">Register a file<input class="file" type="file" accept=".yaml,.yml,.json" onChange={(event) => { setFile(event.currentTarget.files?.[0]); event.currentTarget.value = '' }} /></label>
      </header>
      <ProblemNote problem={workflows.problem} />
      {workflows.isLoading && <Panel><Skeleton /></Panel>}
      {workflows.data?.items.length === 0 && <Panel><Empty title="No workflows yet" curl={CURL()}>Drop a definition here, or register it by a call. Runs that are only reported need none.</Empty></Panel>}
      {!!workflows.data?.items.length && (
        <Panel>
          <div class="table-wrap">
            <table class="table">
              <thead><tr><th>Workflow</th><th>Newest</th><th>What it is</th><th>Runs</th><th class="right">Open</th><th class="right">Failed</th><th>Registered</th></tr></thead>
              <tbody>{workflows.data.items.map((workflow) => <Row key={workflow.workflow_name} workflow={workflow} counts={(counts.data?.counts ?? []).filter((one) => one.workflow_name === workflow.workflow_name)} />)}</tbody>
            </table>
          </div>
          {workflows.data.next_cursor && <p class="panel-body faint">The first {plural(workflows.data.items.length, 'workflow')}.</p>}
        </Panel>
      )}
      {file && <RegisterFile file={file} onClose={(isRegistered) => { setFile(undefined); if (isRegistered) workflows.reload() }} />}
    </div>
  )
}

function Row({ workflow, counts }: { workflow: Schemas['Workflow']; counts: Counts }) {
  const of = (...wanted: string[]) => counts.filter(({ status }) => wanted.includes(status)).reduce((sum, one) => sum + one.count, 0)
  const runs = `/runs?workflow_name=${workflow.workflow_name}`
  const [done, failed, open] = [of('completed'), of('failed'), of('pending', 'running')]
  return (
    <tr>
      <td><a href={`/workflows/${workflow.workflow_name}`}><strong>{workflow.workflow_name}</strong></a></td>
      <td><code>{workflow.workflow_version}</code></td>
      <td class="fill cut soft">{workflow.description}</td>
      <td><ProgressBar label={`${done} completed, ${failed} failed, ${open} open`} parts={[{ tone: 'good', count: done }, { tone: 'bad', count: failed }, { tone: 'busy', count: open }]} /></td>
      <td class="right number">{open ? <a href={`${runs}&status=running&status=pending`}>{count(open)}</a> : <span class="none">–</span>}</td>
      <td class="right number">{failed ? <a href={`${runs}&status=failed`}>{count(failed)}</a> : <span class="none">–</span>}</td>
      <td><Time at={workflow.created_at} isAgo /></td>
    </tr>
  )
}

