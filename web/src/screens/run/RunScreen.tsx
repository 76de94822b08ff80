// One run: where it stands and why, what can be done with it, and all that is known of it.
import { get, type Run } from '../../api'
import { now } from '../../clock'
import { count, duration, plural } from '../../format'
import { orAbsent, useLive } from '../../live'
import { onlyHttp } from '../../ui/links'
import { Copy, Empty, Facts, Json, Panel, ProblemNote, ProgressBar, Skeleton, Tabs, Tags, currentTab } from '../../ui/controls'
import { Icon } from '../../ui/icons'
import { Status } from '../../ui/status'
import { Duration, Time } from '../../ui/time'
import { Why } from '../../ui/why'
import Cause from './Cause'
import Graph from './Graph'
import History from './History'
import Changes from './Changes'
import { Logs } from './Logs'
import Timeline from './Timeline'
import { useWork } from './tasks'
import { Verbs } from './Verbs'
import WorkList from './WorkList'

export default function RunScreen({ names }: { names: Record<string, string> }) {
  const id = (names['id'] ?? '').toLowerCase()
  const path = { workflow_run_id: id }
  const { data: run, problem, isLoading } = useLive(
    `run ${id}`,
    (abort) => get('/v1/workflow-runs/{workflow_run_id}', { path, abort }),
    (change) => change.workflow_run_id === id || (change.kind === 'workflow_run' && change.id === id),
  )
  if (isLoading) return <div class="screen"><Skeleton rows={10} /></div>
  if (!run) {
    return (
      <div class="screen">
        {problem?.status === 404
          ? <Empty title="There is no such run">It may have been deleted. <a href="/runs">All runs</a></Empty>
          : <ProblemNote problem={problem} />}
      </div>
    )
  }
  return <Known run={run} problem={problem} />
}

function Known({ run, problem }: { run: Run; problem: ReturnType<typeof useLive>['problem'] }) {
  const id = run.workflow_run_id
  const work = useWork(id)
  const why = useLive(
    `why run ${id}`,
    (abort) => orAbsent(get('/v1/workflow-runs/{workflow_run_id}/why', { path: { workflow_run_id: id }, abort })),
    (change) => change.workflow_run_id === id || change.id === id || change.kind === 'queue',
  )
  const isExecuted = work.steps.length > 0
  const tabs = [
    { name: 'timeline', title: 'Timeline' },
    ...(isExecuted ? [{ name: 'graph', title: 'Graph' }] : []),
    { name: 'work', title: isExecuted ? 'Steps' : 'Tasks', count: isExecuted ? work.steps.length : work.tasks.length },
    { name: 'logs', title: 'Logs' },
    { name: 'data', title: run.error ? 'Inputs & error' : 'Inputs & result' },
    { name: 'history', title: 'History' },
    { name: 'changes', title: 'Changes' },
  ]
  const tab = currentTab(tabs)
  const isOpen = run.completed_at === null
  return (
    <div class="screen">
      <div class="screen-head">
        <div class="grow">
          <p class="crumbs">
            <a href="/runs">Runs</a><span aria-hidden="true">/</span>
            <a href={`/runs?workflow_name=${run.workflow_name}`}>{run.workflow_name}</a><span aria-hidden="true">/</span>
            <Copy text={run.workflow_run_id}><code>{run.workflow_run_id}</code></Copy>
          </p>
          <h1 class="row">{run.workflow_name} <span class="faint version">{run.workflow_version}</span> <Status status={run.status} /> <Notes run={run} /></h1>
        </div>
        <Verbs run={run} work={work} />
      </div>
      <ProblemNote problem={problem} />
      {run.status === 'failed' && <Cause run={run} tasks={work.tasks} why={why.data} />}
      {isOpen && <Why why={why} />}
      <RunFacts run={run} />
      <Panel>
        <div class="panel-tabs"><Tabs tabs={tabs} current={tab} /></div>
        {!work.isWhole && work.tasks.length === 0 && (tab === 'timeline' || tab === 'work') && <Skeleton />}
        {tab === 'timeline' && <Timeline run={run} work={work} />}
        {tab === 'graph' && <Graph run={run} steps={work.steps} />}
        {tab === 'work' && <WorkList run={run} work={work} />}
        {tab === 'logs' && <Logs of="run" id={run.workflow_run_id} />}
        {tab === 'data' && <Data run={run} />}
        {tab === 'history' && <History id={run.workflow_run_id} />}
        {tab === 'changes' && <Changes id={run.workflow_run_id} />}
      </Panel>
    </div>
  )
}

/** Facts beside the status that are none: paused, about to be cancelled, late, an attempt that is not the first. */
function Notes({ run }: { run: Run }) {
  const isOpen = run.completed_at === null
  return (
    <>
      {run.paused_at && isOpen && <Status status="paused" />}
      {isOpen && run.cancel_requested_at && <Status status="cancelled" says="cancel requested" />}
      {'late_at' in run && run.late_at ? <Status status="late" /> : null}
      {run.reason && <span class="badge" title="Why the service ended it">{run.reason.replaceAll('_', ' ')}</span>}
      {run.attempt > 1 && <span class="badge">attempt {run.attempt}</span>}
    </>
  )
}

function RunFacts({ run }: { run: Run }) {
  const { progress } = run
  const ended = progress.completed + progress.failed + progress.cancelled
  const links = Object.entries(run.links ?? {}).filter(([, { url }]) => onlyHttp(url))
  return (
    <Facts facts={[
      ['Started', <Time at={run.started_at ?? run.created_at} />],
      ['Duration', run.started_at ? <Duration from={run.started_at} to={run.completed_at} /> : <span class="faint">not started, created <Time at={run.created_at} isAgo /></span>],
      progress.total > 0 && [`Progress`, <span class="row">
        <ProgressBar label={`${ended} of ${plural(progress.total, 'task')} ended`} parts={[
          { tone: 'good', count: progress.completed }, { tone: 'bad', count: progress.failed }, { tone: 'busy', count: progress.running },
          { tone: 'rest', count: progress.sleeping }, { tone: 'quiet', count: Math.max(0, progress.total - ended - progress.running - progress.sleeping) },
        ]} />
        <span class="number">{count(ended)} of {count(progress.total)}</span>
        {progress.failed > 0 && <span class="faint">{count(progress.failed)} failed</span>}
      </span>],
      run.reported_progress && ['Reported', <Reported run={run} />],
      run.deadline_at && ['Deadline', <Remaining at={run.deadline_at} isOpen={run.completed_at === null} />],
      run.heartbeat_expires_at && ['Heartbeat due', <Remaining at={run.heartbeat_expires_at} isOpen={run.completed_at === null} />],
      ['Queue', <a href={`/queues/${encodeURIComponent(run.queue)}`}>{run.queue}</a>],
      run.created_by && ['By', <a href={`/runs?created_by=${encodeURIComponent(run.created_by)}`}>{run.created_by}</a>],
      run.parent_workflow_run_id && ['Part of', <a href={`/runs/${run.parent_workflow_run_id}`}><code>{run.parent_workflow_run_id.slice(-12)}</code></a>],
      run.rerun_of_workflow_run_id && ['Again for', <a href={`/runs/${run.rerun_of_workflow_run_id}`}><code>{run.rerun_of_workflow_run_id.slice(-12)}</code></a>],
      run.schedule_id && ['Schedule', <a href={`/schedules/${run.schedule_id}`}>{run.data_interval_start ? <Time at={run.data_interval_start} /> : 'by hand'}</a>],
      Object.keys(run.tags).length > 0 && ['Tags', <Tags tags={run.tags} />],
      links.length > 0 && ['Links', <span class="row">{links.map(([name, { url, title }]) => (
        <a key={name} href={url} target="_blank" rel="noopener noreferrer" class="row"><Icon name="link" size={13} />{title ?? name}</a>
      ))}</span>],
    ]} />
  )
}

function Reported({ run }: { run: Run }) {
  const told = run.reported_progress
  if (!told) return null
  return <span>{told.done ?? ''}{told.total !== null && told.total !== undefined ? ` of ${told.total}` : ''} {told.unit ?? ''} <span class="soft">{told.message ?? ''}</span></span>
}

function Remaining({ at, isOpen }: { at: string; isOpen: boolean }) {
  if (!isOpen) return <Time at={at} />
  const left = Date.parse(at) - now.value
  return <span title={at}>{left >= 0 ? `in ${duration(left)}` : `over since ${duration(-left)}`}</span>
}

function Data({ run }: { run: Run }) {
  return (
    <div class="panel-body split">
      <section><h2>Inputs</h2><Json value={run.inputs} label="inputs" /></section>
      {run.error && <section><h2>Error</h2><Json value={run.error} label="error" /></section>}
      <section><h2>Result</h2><Json value={run.result} label="result" /></section>
    </div>
  )
}
