// Verbs for the runs that are selected, one call each; what was refused is told one by one.
import { useState } from 'preact/hooks'
import { call, Problem, type Run } from '../../api'
import { plural, shortId } from '../../format'
import { Button } from '../../ui/controls'
import { Lacks, Modal } from '../../ui/dialog'
import { Status } from '../../ui/status'

type Verb = 'cancel' | 'retry' | 'delete'

const isOpen = (run: Run) => run.completed_at === null
const TAKES: Record<Verb, (run: Run) => boolean> = {
  cancel: isOpen,
  retry: (run) => run.status === 'failed' || run.status === 'cancelled',
  delete: (run) => !isOpen(run),
}
const SAYS: Record<Verb, string> = {
  cancel: 'Tasks that wait are cancelled now; those that run are asked to stop and have 30 seconds.',
  retry: 'Tasks that failed or were cancelled can be claimed again; completed ones stay as they are.',
  delete: 'They go for good, with their tasks, checkpoints, logs and history.',
}
const TITLES: Record<Verb, string> = { cancel: 'Cancel', retry: 'Retry', delete: 'Delete' }
const AT_ONCE = 6
const SAMPLE = 8

export function Selection({ runs, onClear }: { runs: readonly Run[]; onClear: () => void }) {
  const [asked, setAsked] = useState<{ verb: Verb; runs: readonly Run[] }>()
  return (
    <div class="row selection" role="group" aria-label="What is selected">
      <strong>{plural(runs.length, 'run')} selected</strong>
      {(Object.keys(TAKES) as Verb[]).map((verb) => {
        const taken = runs.filter(TAKES[verb])
        return <Button key={verb} class="small" disabled={!taken.length} onClick={() => setAsked({ verb, runs: taken })}>{TITLES[verb]} {taken.length < runs.length && taken.length > 0 ? taken.length : ''}</Button>
      })}
      <span class="grow" />
      <Button class="small" variant="quiet" onClick={onClear}>Select none</Button>
      {asked && <Do verb={asked.verb} runs={asked.runs} onClose={() => setAsked(undefined)} onDone={onClear} />}
    </div>
  )
}

function Do({ verb, runs, onClose, onDone }: { verb: Verb; runs: readonly Run[]; onClose: () => void; onDone: () => void }) {
  const [done, setDone] = useState<number>()
  const [refused, setRefused] = useState<readonly { run: Run; problem: Problem }[]>([])
  const act = async (event: Event) => {
    event.preventDefault()
    setDone(0)
    const waiting = [...runs]
    const bad: { run: Run; problem: Problem }[] = []
    const work = async () => {
      for (let run = waiting.pop(); run; run = waiting.pop()) {
        const told = run
        await say(verb, run.workflow_run_id).catch((failure: unknown) => {
          if (failure instanceof Problem) bad.push({ run: told, problem: failure })
        })
        setDone((before) => (before ?? 0) + 1)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    setRefused(bad)
    if (!bad.length) {
      onClose()
      onDone()
    }
  }
  const isOver = done === runs.length
  return (
    <Modal title={`${TITLES[verb]} ${plural(runs.length, 'run')}?`} onClose={onClose}>
      <form onSubmit={act}>
        <div class="dialog-body">
          <p>{SAYS[verb]}</p>
          <ul class="sample">
            {runs.slice(0, SAMPLE).map((run) => <li key={run.workflow_run_id}><Status status={run.status} /> <strong>{run.workflow_name}</strong> <code>{shortId(run.workflow_run_id)}</code></li>)}
            {runs.length > SAMPLE && <li class="faint">and {runs.length - SAMPLE} more</li>}
          </ul>
          {refused.length > 0 && <div class="problem" role="alert"><div>{refused.map(({ run, problem }) => <p key={run.workflow_run_id}><code>{shortId(run.workflow_run_id)}</code> {problem.detail || problem.title} <span class="faint">{problem.requestId}</span></p>)}</div></div>}
        </div>
        {!refused.length && <Lacks />}
        <footer class="dialog-foot">
          <Button onClick={onClose}>{isOver ? 'Close' : 'Back'}</Button>
          {!isOver && <Button type="submit" variant={verb === 'retry' ? 'main' : 'danger'} disabled={done !== undefined}>{done === undefined ? `${TITLES[verb]} ${plural(runs.length, 'run')}` : `${done} of ${runs.length}`}</Button>}
        </footer>
      </form>
    </Modal>
  )
}

function say(verb: Verb, id: string): Promise<unknown> {
  const path = { workflow_run_id: id }
  if (verb === 'delete') return call('delete', '/v1/workflow-runs/{workflow_run_id}', { path })
  return verb === 'cancel' ? call('post', '/v1/workflow-runs/{workflow_run_id}/cancel', { path, body: {} }) : call('post', '/v1/workflow-runs/{workflow_run_id}/retry', { path, body: {} })
}
