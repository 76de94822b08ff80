// What can be done with a run; each says what will happen before it does.
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { call, type Run } from '../../api'
import { plural } from '../../format'
import { useKeys } from '../../keys'
import { navigate } from '../../router'
import { Button } from '../../ui/controls'
import { Confirm } from '../../ui/dialog'
import type { IconName } from '../../ui/icons'
import type { Work } from './tasks'

type Name = 'cancel' | 'retry' | 'rerun' | 'pause' | 'resume' | 'delete'

export function Verbs({ run, work }: { run: Run; work: Work }) {
  const [asked, setAsked] = useState<Name>()
  const isOpen = run.completed_at === null
  const isExecuted = work.steps.length > 0
  const offered: readonly (readonly [Name, string, IconName, string])[] = [
    ...(isOpen && isExecuted ? [run.paused_at ? ['resume', 'Resume', 'running', 'e'] as const : ['pause', 'Pause', 'paused', 'e'] as const] : []),
    ...(isOpen ? [['cancel', 'Cancel', 'cancelled', 'c'] as const] : []),
    ...(run.status === 'failed' || run.status === 'cancelled' ? [['retry', 'Retry', 'retry', 't'] as const] : []),
    ...(!isOpen && isExecuted ? [['rerun', 'Rerun from…', 'retry', 'f'] as const] : []),
    ...(!isOpen ? [['delete', 'Delete', 'trash', 'd'] as const] : []),
  ]
  useKeys(offered.map(([name, title, , key]) => ({ key, says: `${title} this run`, act: () => setAsked(name) })))
  const close = () => setAsked(undefined)
  return (
    <div class="row verbs">
      {offered.map(([name, title, icon, key]) => (
        <Button key={name} icon={icon} variant={name === 'delete' ? 'quiet' : 'plain'} title={`${title} (${key})`} onClick={() => setAsked(name)}>{title}</Button>
      ))}
      {asked === 'cancel' && <Cancel run={run} onClose={close} />}
      {asked === 'retry' && <Retry run={run} onClose={close} />}
      {asked === 'rerun' && <Rerun run={run} work={work} onClose={close} />}
      {(asked === 'pause' || asked === 'resume') && <Hold run={run} verb={asked} onClose={close} />}
      {asked === 'delete' && <Delete run={run} onClose={close} />}
    </div>
  )
}

interface Props {
  run: Run
  onClose: () => void
}

const pathOf = (run: Run) => ({ workflow_run_id: run.workflow_run_id })

function Field({ label, children }: { label: string; children: ComponentChildren }) {
  return <label class="field"><span>{label}</span>{children}</label>
}

export function Cancel({ run, onClose }: Props) {
  const [reason, setReason] = useState('')
  const [grace, setGrace] = useState(30)
  const { pending, sleeping, running } = run.progress
  const act = () => call('post', '/v1/workflow-runs/{workflow_run_id}/cancel', { path: pathOf(run), body: { grace_seconds: grace, ...(reason ? { reason } : {}) } })
  return (
    <Confirm title="Cancel this run?" verb="Cancel the run" isDangerous onDo={act} onClose={onClose}>
      <p>
        {pending + sleeping > 0 ? <><strong>{plural(pending + sleeping, 'task')}</strong> that {pending + sleeping === 1 ? 'waits is' : 'wait are'} cancelled now. </> : 'No task of it waits. '}
        {running > 0 ? <><strong>{plural(running, 'task')}</strong> that {running === 1 ? 'runs is' : 'run are'} asked to stop, and cancelled when the grace is over. </> : ''}
        Then the run is cancelled. It can be retried later.
      </p>
      <Field label="Reason, kept in its history"><input class="input" value={reason} maxLength={1000} onInput={(event) => setReason(event.currentTarget.value)} /></Field>
      {running > 0 && <Field label="Grace, in seconds"><input class="input" type="number" min="0" max="86400" value={grace} onInput={(event) => setGrace(Number(event.currentTarget.value))} /></Field>}
    </Confirm>
  )
}

export function Retry({ run, onClose }: Props) {
  const [reason, setReason] = useState('')
  const { failed, cancelled, completed } = run.progress
  const act = () => call('post', '/v1/workflow-runs/{workflow_run_id}/retry', { path: pathOf(run), body: reason ? { reason } : {} })
  return (
    <Confirm title="Retry this run?" verb="Retry the run" onDo={act} onClose={onClose}>
      <p>
        It goes on as attempt <strong>{run.attempt + 1}</strong>.{' '}
        {failed + cancelled > 0 ? <><strong>{plural(failed + cancelled, 'task')}</strong> that failed or {failed + cancelled === 1 ? 'was' : 'were'} cancelled can be claimed again; </> : 'No task of it failed; '}
        {completed > 0 ? `${plural(completed, 'task')} that completed ${completed === 1 ? 'stays' : 'stay'} as ${completed === 1 ? 'it is' : 'they are'}.` : 'none has completed.'}
      </p>
      <Field label="Reason, kept in its history"><input class="input" value={reason} maxLength={1000} onInput={(event) => setReason(event.currentTarget.value)} /></Field>
    </Confirm>
  )
}

function Rerun({ run, work, onClose }: Props & { work: Work }) {
  const top = work.steps.filter(({ path }) => !/[.[]/.test(path))
  const [step, setStep] = useState((top.find(({ status }) => status === 'failed') ?? top[0])?.path ?? '')
  const act = async () => {
    const made = await call('post', '/v1/workflow-runs/{workflow_run_id}/rerun', { path: pathOf(run), body: { from_step: step } })
    navigate(`/runs/${made.workflow_run_id}`)
  }
  return (
    <Confirm title="Run it again from a step?" verb="Start a new run" onDo={act} onClose={onClose}>
      <p>A <strong>new run</strong> is started with the same inputs. Steps before this one keep their results; this one and those after it are done again. This run stays as it is.</p>
      <Field label="From step"><select class="input" value={step} onChange={(event) => setStep(event.currentTarget.value)}>{top.map(({ path }) => <option key={path}>{path}</option>)}</select></Field>
    </Confirm>
  )
}

function Hold({ run, verb, onClose }: Props & { verb: 'pause' | 'resume' }) {
  const act = () => call('post', `/v1/workflow-runs/{workflow_run_id}/${verb}`, { path: pathOf(run) })
  return (
    <Confirm title={verb === 'pause' ? 'Pause this run?' : 'Let this run go on?'} verb={verb === 'pause' ? 'Pause the run' : 'Resume the run'} onDo={act} onClose={onClose}>
      <p>{verb === 'pause'
        ? `It hands out no more work until it is resumed. ${run.progress.running ? `${plural(run.progress.running, 'task')} that ${run.progress.running === 1 ? 'runs' : 'run'} may end.` : 'Nothing of it runs now.'} Its deadline goes on.`
        : 'Its steps are handed out again, from where it stands.'}</p>
    </Confirm>
  )
}

export function Delete({ run, onClose }: Props) {
  const act = async () => {
    await call('delete', '/v1/workflow-runs/{workflow_run_id}', { path: pathOf(run) })
    navigate('/runs')
  }
  return (
    <Confirm title="Delete this run?" verb="Delete it for good" isDangerous onDo={act} onClose={onClose}>
      <p>The run goes for good, with {run.progress.total ? <strong>{plural(run.progress.total, 'task')}</strong> : 'all that belongs to it'}: checkpoints, logs and history. Runs that it started stay.</p>
    </Confirm>
  )
}
