// The definition of a run as a graph, with where each step stands.
import type { Run, Step } from '../../api'
import { Empty } from '../../ui/controls'

export default function Graph({ run, steps }: { run: Run; steps: readonly Step[] }) {
  return <Empty title={`${steps.length} steps`}>The graph of <a href={`/workflows/${run.workflow_name}/${run.workflow_version}`}>{run.display_name}</a></Empty>
}
