// Starting a run: a field for each input that the definition reads, and a place for the whole of them.
import { useState } from 'preact/hooks'
import { call, type Schemas } from '../../api'
import { navigate } from '../../router'
import { Problem } from '../../api'
import { Confirm } from '../../ui/dialog'

/** Return the names of the inputs that a definition reads, in the order in which it does. */
export function inputsOf(document: unknown): string[] {
  const found = JSON.stringify(document).matchAll(/\binputs\.([A-Za-z_]\w*)/g)
  return [...new Set([...found].map((match) => match[1] ?? ''))]
}

/** What somebody typed: JSON where it is that, else the text itself. */
export function readValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

export function StartRun({ definition, onClose }: { definition: Schemas['WorkflowDefinition']; onClose: () => void }) {
  const names = inputsOf(definition.document)
  const [values, setValues] = useState<Record<string, string>>({})
  const [whole, setWhole] = useState('')
  const [queue, setQueue] = useState('default')
  const { workflow_name: name, workflow_version: version } = definition
  const start = async () => {
    const run = await call('post', '/v1/workflows/{name}/{version}/runs', { path: { name, version }, body: { inputs: inputs(names, values, whole), queue } as Schemas['WorkflowStart'] })
    navigate(`/runs/${run.workflow_run_id}`)
  }
  return (
    <Confirm title={`Start ${name} ${version}`} verb="Start" onClose={onClose} onDo={start}>
      <p>The service drives the run; workers of the queue do its steps.</p>
      {names.map((one) => (
        <label key={one} class="field"><span>{one}</span>
          <input class="input" value={values[one] ?? ''} placeholder="text, or any JSON" onInput={(event) => setValues({ ...values, [one]: event.currentTarget.value })} />
        </label>
      ))}
      <label class="field"><span>{names.length ? 'More inputs, as a JSON object' : 'Inputs, as JSON'}</span>
        <textarea class="input" rows={names.length ? 2 : 5} spellcheck={false} value={whole} placeholder="{}" onInput={(event) => setWhole(event.currentTarget.value)} />
      </label>
      <label class="field"><span>Queue of its work</span><input class="input" value={queue} onInput={(event) => setQueue(event.currentTarget.value.trim())} /></label>
    </Confirm>
  )
}

function inputs(names: readonly string[], values: Record<string, string>, whole: string): unknown {
  const named = Object.fromEntries(names.filter((one) => values[one]).map((one) => [one, readValue(values[one] ?? '')]))
  if (!whole.trim()) return named
  let more: unknown
  try {
    more = JSON.parse(whole)
  } catch (failure) {
    throw new Problem(0, 'not-json', 'The inputs are not JSON', String(failure), '')
  }
  if (!Object.keys(named).length) return more
  if (typeof more !== 'object' || more === null || Array.isArray(more)) throw new Problem(0, 'not-an-object', 'The inputs are no object', 'Leave the fields empty to send another value than an object.', '')
  return { ...more, ...named }
}
