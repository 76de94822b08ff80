// Why something stands where it stands: the reasons, and for each the call that would change it, done after one question.
import { useState } from 'preact/hooks'
import { ask, authorization, type Schemas } from '../api'
import { plural } from '../format'
import type { Loaded } from '../live'
import { Button, Panel } from './controls'
import { Confirm } from './dialog'
import { Time } from './time'
import './why.css'

type Reason = Schemas['WhyReason']

export function Why({ why, onDone }: { why: Loaded<Schemas['Explanation'] | undefined>; onDone?: () => void }) {
  const [fixing, fix] = useState<Reason>()
  const told = why.data
  if (!told || told.reasons.every(({ code }) => code === 'ended')) return null
  return (
    <Panel title="Why" class="reasons">
      <ul>
        {told.reasons.map((reason, at) => (
          <li key={`${reason.code} ${at}`}>
            <span class="grow">{reason.text}{reason.until && <span class="soft"> · <Time at={reason.until} isAgo /></span>}</span>
            <Subject reason={reason} />
            {reason.fix && <Button class="small" onClick={() => fix(reason)}>{wordOf(reason.fix)}</Button>}
          </li>
        ))}
      </ul>
      {told.more > 0 && <p class="panel-body faint">and {plural(told.more, 'reason')} more</p>}
      {fixing?.fix && <FixIt reason={fixing} fix={fixing.fix} onClose={() => { fix(undefined); why.reload(); onDone?.() }} />}
    </Panel>
  )
}

function Subject({ reason: { subject } }: { reason: Reason }) {
  const task = subject.holder_task_id ?? subject.task_id
  if (task && location.pathname !== `/tasks/${task}`) return <a class="soft" href={`/tasks/${task}`}>task</a>
  if (subject.queue && !location.pathname.startsWith('/queues/')) return <a class="soft" href={`/queues/${encodeURIComponent(subject.queue)}`}>queue</a>
  return null
}

function wordOf({ method, path, body }: Schemas['WhyFix']): string {
  const last = path.split('/').at(-1) ?? ''
  if (method === 'PATCH' && 'paused' in (body ?? {})) return 'Resume'
  if (path.includes('/events/')) return 'Emit the event'
  if (/^[a-z][a-z-]*$/.test(last) && method === 'POST') return last[0]?.toUpperCase() + last.slice(1).replaceAll('-', ' ')
  return 'Change'
}

function FixIt({ reason, fix, onClose }: { reason: Reason; fix: Schemas['WhyFix']; onClose: () => void }) {
  const body = JSON.stringify(fix.body ?? {})
  const headers = { accept: 'application/json', 'content-type': 'application/json', ...authorization() }
  return (
    <Confirm title={`${wordOf(fix)}?`} verb={wordOf(fix)} onClose={onClose} onDo={() => ask(fix.path, { method: fix.method, headers, body })}>
      <p>{reason.text}</p>
      <p>This is sent: <code class="sent">{fix.method} {fix.path} {body === '{}' ? '' : body}</code></p>
    </Confirm>
  )
}
