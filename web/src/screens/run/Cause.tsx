// Why a run failed: what failed first, where, at which attempt, and the last that it said.
import { get, type Run, type Schemas, type Task } from '../../api'
import { errorLine, inOneLine } from '../../format'
import { orAbsent, useLive } from '../../live'
import { Copy, Json } from '../../ui/controls'
import { Icon } from '../../ui/icons'

const FAILED_MOST = 3

/** The root cause. What a task failed with is said where it is something else. */
export default function Cause({ run, tasks, why }: { run: Run; tasks: readonly Task[]; why: Schemas['Explanation'] | undefined }) {
  const found = why?.reasons.find(({ subject, code }) => subject.error && code !== 'ended') ?? why?.reasons.find(({ subject }) => subject.error)
  const error = found?.subject.error ?? run.error
  const { path, task_id: toldId } = found?.subject ?? {}
  const failed = tasks.filter(({ status }) => status === 'failed').sort((a, b) => Date.parse(a.completed_at ?? '') - Date.parse(b.completed_at ?? ''))
  const taskId = toldId ?? failed[0]?.task_id
  const others = failed.filter((task) => task.task_id !== taskId || errorLine(task.error) !== errorLine(error))
  const attempt = tasks.find((task) => task.task_id === taskId)?.attempt
  const type = error?.['type'] ?? error?.['name'] ?? run.reason?.replaceAll('_', ' ') ?? 'failed'
  const message = error?.['message']
  const more = error ? Object.fromEntries(Object.entries(error).filter(([name]) => !['type', 'name', 'message'].includes(name))) : {}
  return (
    <section class="cause" aria-label="Root cause">
      <header>
        <Icon name="failed" />
        <div class="grow">
          <p class="cause-title">{String(type)}</p>
          {message !== undefined && <pre class="cause-message">{typeof message === 'string' ? message : inOneLine(message, 2000)}</pre>}
          {message === undefined && !error && <p class="soft">It failed without an error being given.</p>}
          {others.length > 0 && (
            <p class="cause-tasks">
              {others.slice(0, FAILED_MOST).map((task) => <span key={task.task_id}><a href={`/tasks/${task.task_id}`}>{task.task_name}</a> failed: {errorLine(task.error)}</span>)}
              {others.length > FAILED_MOST && <a href={`/runs/${run.workflow_run_id}?tab=work&work_status=failed`}>and {others.length - FAILED_MOST} more</a>}
            </p>
          )}
          <p class="cause-place">
            {path && <span>in step <code>{path}</code></span>}
            {taskId && !others.some((task) => task.task_id === taskId) && <a href={`/tasks/${taskId}`}>{path ? 'its task' : 'the task that failed'} <Icon name="right" size={11} /></a>}
            {attempt !== undefined && <span>attempt {attempt}</span>}
          </p>
        </div>
        {error && <Copy text={JSON.stringify(error, null, 2)} label="Copy the error" />}
      </header>
      {taskId && <Tail taskId={taskId} />}
      {Object.keys(more).length > 0 && <details><summary>All of the error</summary><Json value={error} label="error" /></details>}
    </section>
  )
}

function Tail({ taskId }: { taskId: string }) {
  const { data } = useLive(
    `tail ${taskId}`,
    (abort) => orAbsent(get('/v1/tasks/{task_id}/logs', { path: { task_id: taskId }, query: { tail: 8 }, abort })),
    (change) => change.kind === 'log' && change.id === taskId,
  )
  if (!data?.items.length) return null
  const last = data.items.at(-1)?.attempt
  return (
    <pre class="cause-log" tabIndex={0} aria-label="The last lines of its log">
      {data.items.filter((line) => line.attempt === last).map((line) => `${line.level === 'info' ? '' : `${line.level}: `}${line.text}\n`)}
    </pre>
  )
}
