// Moments in the reader's zone with UTC on hover, and durations that tick while something is open.
import { now } from '../clock'
import { ago, duration, moment, ticking, utc } from '../format'

export function Time({ at, isAgo = false }: { at: string | null | undefined; isAgo?: boolean }) {
  if (!at) return <span class="none">–</span>
  return <time dateTime={at} title={utc(at)}>{isAgo ? ago(at, now.value) : moment(at)}</time>
}

export function Duration({ from, to }: { from: string | null | undefined; to?: string | null | undefined }) {
  if (!from) return <span class="none">–</span>
  const began = Date.parse(from)
  return <span class="number">{to ? duration(Date.parse(to) - began) : ticking(now.value - began)}</span>
}
