// What was done to a run, by whom and why.
import { get } from '../../api'
import { useLive } from '../../live'
import { Copy, ProblemNote, Skeleton } from '../../ui/controls'
import { Status } from '../../ui/status'
import { Time } from '../../ui/time'

export default function History({ id }: { id: string }) {
  const { data, problem, isLoading } = useLive(
    `history ${id}`,
    (abort) => get('/v1/workflow-runs/{workflow_run_id}/history', { path: { workflow_run_id: id }, query: { limit: 200 }, abort }),
    (change) => change.kind === 'workflow_run' && change.id === id,
  )
  if (isLoading) return <Skeleton />
  return (
    <div class="table-wrap">
      <ProblemNote problem={problem} />
      <table class="table">
        <thead><tr><th>At</th><th>What</th><th>Became</th><th>By</th><th>Reason</th><th class="right">Attempt</th><th>Request</th></tr></thead>
        <tbody>
          {data?.items.map((entry, at) => (
            <tr key={at}>
              <td><Time at={entry.at} /></td>
              <td>{entry.verb}</td>
              <td>{entry.from === entry.to ? <span class="faint">{entry.to}</span> : <Status status={entry.to} />}</td>
              <td>{entry.actor}</td>
              <td class="fill cut">{entry.reason ?? ''}</td>
              <td class="right number">{entry.attempt}</td>
              <td class="faint">{entry.request_id && <Copy text={entry.request_id} label={`Copy the request id ${entry.request_id}`}><code>{entry.request_id.slice(-12)}</code></Copy>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
