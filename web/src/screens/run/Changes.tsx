// Every change of a run and of what belongs to it, newest first, as they come.
import { useEffect, useState } from 'preact/hooks'
import { get, Problem } from '../../api'
import { onNews, streamState, type Change } from '../../stream'
import { Empty, ProblemNote } from '../../ui/controls'
import { Status } from '../../ui/status'
import { Time } from '../../ui/time'

const SHOWN_MOST = 500

export default function Changes({ id }: { id: string }) {
  const [changes, setChanges] = useState<readonly Change[]>([])
  const [problem, setProblem] = useState<Problem>()
  useEffect(() => {
    const abort = new AbortController()
    const add = (more: readonly Change[]) => setChanges((before) => {
      const known = new Map([...before, ...more].map((change) => [change.position, change]))
      return [...known.values()].sort((a, b) => b.position - a.position).slice(0, SHOWN_MOST)
    })
    const read = async () => {
      const { items } = await get('/v1/changes', { query: { after: 0, limit: SHOWN_MOST, workflow_run_id: [id] }, abort: abort.signal })
      add(items)
    }
    read().catch((failure: unknown) => failure instanceof Problem && failure.status !== 404 && setProblem(failure))
    const forget = onNews((news) => news && add(news.filter((change) => change.workflow_run_id === id || change.id === id)))
    return () => {
      forget()
      abort.abort()
    }
  }, [id])
  if (!changes.length) {
    return <><ProblemNote problem={problem} /><Empty title="No changes">{streamState.value === 'polling' ? 'This service has no stream of changes.' : 'Those of the last day are kept; new ones appear here as they happen.'}</Empty></>
  }
  return (
    <div class="table-wrap">
      <table class="table">
        <thead><tr><th>At</th><th>What</th><th>Of</th><th>Status</th><th>Reason</th><th>By</th><th class="right">Position</th></tr></thead>
        <tbody>
          {changes.map((change) => (
            <tr key={change.position}>
              <td><Time at={change.at} /></td>
              <td>{change.kind.replaceAll('_', ' ')} {change.verb.replaceAll('_', ' ')}</td>
              <td class="fill cut">{change.kind === 'task' ? <a href={`/tasks/${change.id}`}><code>{change.id.slice(-12)}</code></a> : <code>{change.id === id ? 'this run' : change.id}</code>}</td>
              <td>{change.status && <Status status={change.status} />}</td>
              <td>{change.reason?.replaceAll('_', ' ')}</td>
              <td>{change.actor}</td>
              <td class="right number faint">{change.position}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
