// The moment that running durations are counted to: it ticks once a second while somebody looks.
import { signal } from '@preact/signals'
import { skew } from './api'

export const now = signal(Date.now())

export function startClock(): void {
  const tick = () => {
    if (!document.hidden) now.value = Date.now() + skew.value
  }
  setInterval(tick, 1000)
  document.addEventListener('visibilitychange', tick)
}
