// One run.
import { get } from '../../api'
import { useLive } from '../../live'
import { Id, Json, ProblemNote, Skeleton } from '../../ui/controls'
import { Status } from '../../ui/status'

export default function RunScreen({ names }: { names: Record<string, string> }) {
  const id = names['id'] ?? ''
  const { data, problem, isLoading } = useLive(`run ${id}`, (abort) => get('/v1/workflow-runs/{workflow_run_id}', { path: { workflow_run_id: id }, abort }),
    (change) => change.workflow_run_id === id || change.id === id)
  return (
    <div class="screen">
      <ProblemNote problem={problem} />
      {isLoading && <Skeleton />}
      {data && <div class="row"><h1>{data.workflow_name}</h1><Status status={data.status} /><Id id={id} /></div>}
      {data && <Json value={data} label="the run" />}
    </div>
  )
}
