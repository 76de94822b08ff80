// Why a run stands where it stands: the root cause of one that failed, the reasons of one that is open.
import { get, type Run, type Schemas, type Task } from '../../api'
import { errorLine, inOneLine } from '../../format'
import { orAbsent, useLive } from '../../live'
import { Copy, Json, Panel } from '../../ui/controls'
import { Icon } from '../../ui/icons'
import { Time } from '../../ui/time'

const FAILED_MOST = 3

type Reason = Schemas['WhyReason']

function useWhy(id: string, revision: number) {
  return useLive(
    `why ${id} ${revision}`,
    (abort) => orAbsent(get('/v1/workflow-runs/{workflow_run_id}/why', { path: { workflow_run_id: id }, abort })),
    (change) => change.workflow_run_id === id || change.kind === 'queue',
  )
}

/** The root cause: what failed first, where, at which attempt, and the last that it said. */
export function Cause({ run, tasks }: { run: Run; tasks: readonly Task[] }) {
  const { data: why } = useWhy(run.workflow_run_id, run.revision)
  const found = why?.reasons.find(({ subject, code }) => subject.error && code !== 'ended') ?? why?.reasons.find(({ subject }) => subject.error)
  const error = found?.subject.error ?? run.error
  const { path, task_id: toldId } = found?.subject ?? {}
  const failed = toldId ? [] : tasks.filter(({ status }) => status === 'failed').sort((a, b) => Date.parse(a.completed_at ?? '') - Date.parse(b.completed_at ?? ''))
  const taskId = toldId ?? failed[0]?.task_id
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
          {failed.length > 0 && (
            <p class="cause-tasks">
              {failed.slice(0, FAILED_MOST).map((task) => <span key={task.task_id}><a href={`/tasks/${task.task_id}`}>{task.task_name}</a> failed: {errorLine(task.error)}</span>)}
              {failed.length > FAILED_MOST && <a href={`/runs/${run.workflow_run_id}?tab=work&work_status=failed`}>and {failed.length - FAILED_MOST} more</a>}
            </p>
          )}
          <p class="cause-place">
            {path && <span>in step <code>{path}</code></span>}
            {toldId && <a href={`/tasks/${toldId}`}>{path ? 'its task' : 'the task that failed'} <Icon name="right" size={11} /></a>}
            {found && found.code !== 'ended' && <span>{found.text}</span>}
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

/** Why an open run is where it is. */
export function Why({ id, revision }: { id: string; revision: number }) {
  const { data: why } = useWhy(id, revision)
  if (!why?.reasons.length) return null
  const [first, ...others] = why.reasons
  return (
    <Panel class="why">
      {first && <ReasonLine reason={first} isFirst />}
      {others.length > 0 && (
        <details>
          <summary>{others.length + why.more} more</summary>
          {others.map((reason, at) => <ReasonLine key={at} reason={reason} />)}
          {why.more > 0 && <p class="faint reason">and {why.more} that are not listed</p>}
        </details>
      )}
    </Panel>
  )
}

function ReasonLine({ reason, isFirst = false }: { reason: Reason; isFirst?: boolean }) {
  const { text, since, subject, fix, code } = reason
  return (
    <div class="reason">
      <span class="reason-code" title={code}>{isFirst ? 'Why' : ''}</span>
      <div class="grow">
        <p class={isFirst ? 'reason-text' : ''}>{text}</p>
        {subject.error && <p class="soft">{errorLine(subject.error)}</p>}
        {fix && <p class="fix"><code>{fix.method} {decodeURIComponent(fix.path)}</code></p>}
      </div>
      {subject.task_id && <a class="faint" href={`/tasks/${subject.task_id}`}>task</a>}
      {subject.queue && !subject.task_id && <a class="faint" href={`/queues/${encodeURIComponent(subject.queue)}`}>queue</a>}
      {since && <span class="faint number">since <Time at={since} /></span>}
    </div>
  )
}
