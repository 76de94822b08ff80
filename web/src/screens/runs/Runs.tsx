// The runs, newest first.
import { get } from '../../api'
import { useLive } from '../../live'
import { Empty, Id, ProblemNote, Skeleton } from '../../ui/controls'
import { Status } from '../../ui/status'
import { Duration, Time } from '../../ui/time'

const CURL = `curl --json '{"workflow_name": "etl", "workflow_version": "1"}' ${location.origin}/v1/workflow-runs`

export default function Runs() {
  const { data, problem, isLoading } = useLive('runs', (abort) => get('/v1/workflow-runs', { abort }), (change) => change.kind === 'workflow_run')
  return (
    <div class="screen">
      <h1>Runs</h1>
      <ProblemNote problem={problem} />
      <div class="panel table-wrap">
        {isLoading && <Skeleton />}
        {data?.items.length === 0 && <Empty title="No runs yet" curl={CURL}>The first one is a call away.</Empty>}
        {!!data?.items.length && (
          <table class="table">
            <thead><tr><th>Status</th><th>Workflow</th><th>Id</th><th>Created</th><th class="right">Duration</th></tr></thead>
            <tbody>
              {data.items.map((run) => (
                <tr key={run.workflow_run_id}>
                  <td><Status status={run.status} /></td>
                  <td><a href={`/runs/${run.workflow_run_id}`}>{run.workflow_name}</a> <span class="faint">{run.workflow_version}</span></td>
                  <td><Id id={run.workflow_run_id} /></td>
                  <td><Time at={run.created_at} /></td>
                  <td class="right"><Duration from={run.started_at} to={run.completed_at} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </div>
    </div>
  )
}
