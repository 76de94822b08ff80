// What is asked before something is done: it says what will happen, and shows what the service answered if it did not.
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { lacks, Problem } from '../api'
import { Button, ProblemNote } from './controls'

interface Props {
  title: string
  verb: string
  isDangerous?: boolean
  children: ComponentChildren
  onDo: () => Promise<unknown>
  onClose: () => void
}

export function Confirm({ title, verb, isDangerous = false, children, onDo, onClose }: Props) {
  const [problem, setProblem] = useState<Problem>()
  const [isBusy, setBusy] = useState(false)
  const act = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    try {
      await onDo()
      onClose()
    } catch (failure) {
      setProblem(failure instanceof Problem ? failure : new Problem(0, 'defect', 'This page has a defect', String(failure), ''))
      setBusy(false)
    }
  }
  return (
    <Modal title={title} onClose={onClose}>
      <form onSubmit={act}>
        <div class="dialog-body">{children}</div>
        {!problem && <Lacks />}
        <ProblemNote problem={problem} />
        <footer class="dialog-foot">
          <Button onClick={onClose}>Back</Button>
          <Button type="submit" variant={isDangerous ? 'danger' : 'main'} disabled={isBusy}>{isBusy ? 'Working…' : verb}</Button>
        </footer>
      </form>
    </Modal>
  )
}

/** What is known of the key before anything is tried with it: that it was refused something for want of a scope. */
export function Lacks() {
  const [before] = useState(lacks.value)
  return before ? <p class="lacks">The key of this tab was refused before: {before}. “Forget key” asks for another.</p> : null
}

export function Modal({ title, children, onClose }: { title: string; children: ComponentChildren; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  const leave = (event: MouseEvent) => event.target === dialog.current && onClose()
  return (
    <dialog ref={dialog} class="dialog" aria-label={title} onClose={onClose} onClick={leave}>
      <div class="dialog-inner">
        <h2>{title}</h2>
        {children}
      </div>
    </dialog>
  )
}
