// A definition in a file: checked as soon as it is there, drawn, and registered when that is said.
import { useEffect, useState } from 'preact/hooks'
import { call, type Schemas } from '../../api'
import { Problem } from '../../api'
import { navigate } from '../../router'
import { Button, ProblemNote, Skeleton } from '../../ui/controls'
import { Lacks, Modal } from '../../ui/dialog'
import { Status } from '../../ui/status'

type Validation = Schemas['WorkflowValidation']

const typeOf = (name: string) => (name.endsWith('.json') ? 'application/json' : 'application/yaml')

export function RegisterFile({ file, onClose }: { file: File; onClose: (isRegistered: boolean) => void }) {
  const [text, setText] = useState('')
  const [found, setFound] = useState<Validation>()
  const [problem, setProblem] = useState<Problem>()
  const [isBusy, setBusy] = useState(false)
  const body = { type: typeOf(file.name), value: text }
  useEffect(() => {
    void file.text().then(async (value) => {
      setText(value)
      setFound(await call('post', '/v1/workflows/validate', { text: { type: typeOf(file.name), value } }))
    }).catch((failure: unknown) => failure instanceof Problem && setProblem(failure))
  }, [file])
  const register = () => {
    setBusy(true)
    call('post', '/v1/workflows', { text: body }).then(
      ({ workflow_name, workflow_version }) => {
        onClose(true)
        navigate(`/workflows/${workflow_name}/${workflow_version}`)
      },
      (failure: unknown) => {
        setBusy(false)
        if (failure instanceof Problem) setProblem(failure)
      },
    )
  }
  return (
    <Modal title={`Register ${file.name}`} onClose={() => onClose(false)}>
      {!found && !problem && <Skeleton rows={3} />}
      {found?.valid && <p><Status status="ok" says="valid" /> <strong>{found.workflow_name}</strong> <code>{found.workflow_version}</code>, {found.graph?.nodes.length ?? 0} steps</p>}
      {found && !found.valid && <p><Status status="failed" says="not valid" /> It is not registered until these are right.</p>}
      {found && <Findings title="Errors" items={found.errors} />}
      {found && <Findings title="Warnings" items={found.warnings} />}
      {found?.valid && <p class="soft">It is registered as a version that never changes. With a <code>schedule</code> in it, runs begin by themselves.</p>}
      {!problem && <Lacks />}
      <ProblemNote problem={problem} />
      <footer class="dialog-foot">
        <Button onClick={() => onClose(false)}>Back</Button>
        <Button variant="main" disabled={!found?.valid || isBusy} onClick={register}>Register</Button>
      </footer>
    </Modal>
  )
}

function Findings({ title, items }: { title: string; items: Schemas['WorkflowFinding'][] }) {
  if (!items.length) return null
  return (
    <div class="findings">
      <strong>{title}</strong>
      {items.map((item) => <p key={item.pointer + item.code}><code>{item.pointer || '/'}</code> {item.detail}</p>)}
    </div>
  )
}
