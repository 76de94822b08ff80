// Why something stands where it stands: the reasons, and for each the call that would change it, done after one question.
import { useState } from 'preact/hooks'
import { ask, authorization, type Schemas } from '../api'
import { errorLine, plural } from '../format'
import type { Loaded } from '../live'
import { Button, Panel } from './controls'
import { Confirm } from './dialog'
import { Time } from './time'
import './why.css'

const SHOWN = 3

type Reason = Schemas['WhyReason']

export function Why({ why, onDone }: { why: Loaded<Schemas['Explanation'] | undefined>; onDone?: () => void }) {
  const [fixing, fix] = useState<Reason>()
  const told = why.data
  if (!told || told.reasons.every(({ code }) => code === 'ended')) return null
  const line = (reason: Reason, at: number) => <Line key={`${reason.code} ${at}`} reason={reason} onFix={() => fix(reason)} />
  const others = told.reasons.slice(SHOWN)
  return (
    <Panel title="Why" class="why">
      <ul>{told.reasons.slice(0, SHOWN).map(line)}</ul>
      {others.length + told.more > 0 && (
        <details>
          <summary>{plural(others.length + told.more, 'more reason')}</summary>
          <ul>{others.map(line)}</ul>
          {told.more > 0 && <p class="panel-body faint">{told.more} of them are not listed</p>}
        </details>
      )}
      {fixing?.fix && <FixIt reason={fixing} fix={fixing.fix} onClose={() => { fix(undefined); why.reload(); onDone?.() }} />}
    </Panel>
  )
}

function Line({ reason, onFix }: { reason: Reason; onFix: () => void }) {
  const { text, code, since, until, subject, fix } = reason
  const said = errorLine(subject.error)
  return (
    <li title={code}>
      <span class="grow">
        {text}
        {until && <span class="soft"> · <Time at={until} isAgo /></span>}
        {said && !text.includes(said) && <span class="soft"> · {said}</span>}
      </span>
      {since && <span class="faint number">since <Time at={since} /></span>}
      <Subject reason={reason} />
      {fix && <Button class="small" onClick={onFix}>{wordOf(fix)}</Button>}
    </li>
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
