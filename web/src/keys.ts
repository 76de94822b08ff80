// Keys of the keyboard: what each does here, told by `?`.
import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

export interface Key {
  key: string
  says: string
  act: () => void
}

const bound = new Set<{ current: readonly Key[] }>()
export const isHelpOpen = signal(false)

export const allKeys = () => [...bound].flatMap(({ current }) => current)

/** Bind keys for as long as a component is shown; what they do may change meanwhile. */
export function useKeys(keys: readonly Key[]): void {
  const mine = useRef(keys)
  mine.current = keys
  useEffect(() => {
    bound.add(mine)
    return () => void bound.delete(mine)
  }, [])
}

let first = ''

export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    const target = event.target as HTMLElement
    if (event.metaKey || event.ctrlKey || event.altKey || target.closest('input, select, textarea, dialog')) return
    const wanted = first ? `${first} ${event.key}` : event.key
    first = !first && event.key === 'g' ? 'g' : ''
    const found = allKeys().findLast(({ key }) => key === wanted)
    if (!found) return
    event.preventDefault()
    found.act()
  })
}
