// Times, durations, numbers and ids as people read them.

export function duration(ms: number): string {
  if (ms < 0) return '0 s'
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86400)]
  if (hours < 1) return `${minutes} m ${two(seconds % 60)} s`
  if (days < 1) return `${hours} h ${two(minutes % 60)} m`
  return `${days} d ${two(hours % 24)} h`
}

/** The same in whole seconds: what ticks should not flicker. */
export function ticking(ms: number): string {
  return ms < 10_000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : duration(ms)
}

const two = (value: number) => String(Math.floor(value)).padStart(2, '0')

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })

export function clock(at: string | number): string {
  return CLOCK.format(new Date(at))
}

/** The time, with its day unless it is today. */
export function moment(at: string | number, today = new Date()): string {
  const date = new Date(at)
  if (date.toDateString() === today.toDateString()) return CLOCK.format(date)
  const day = date.getFullYear() === today.getFullYear() ? DAY : YEAR
  return `${day.format(date)}, ${CLOCK.format(date)}`
}

export function utc(at: string | number): string {
  return new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC')
}

export function ago(at: string | number, now: number): string {
  const ms = now - new Date(at).getTime()
  if (Math.abs(ms) < 1000) return 'just now'
  return ms < 0 ? `in ${ticking(-ms)}` : `${ticking(ms)} ago`
}

export const count = (value: number) => value.toLocaleString('en-GB').replaceAll(',', '\u202f')

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

export const shortId = (id: string) => id.slice(-12)

export function inOneLine(value: unknown, most = 160): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const line = (text ?? '').replace(/\s+/g, ' ')
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}

/** An error in one line: what it is, and what it says. */
export function errorLine(error: Record<string, unknown> | null | undefined): string {
  if (!error) return ''
  const name = error['type'] ?? error['name']
  const message = error['message']
  if (typeof message !== 'string') return inOneLine(error)
  return inOneLine(typeof name === 'string' ? `${name}: ${message}` : message, 300)
}

/** A length in pixels: numbers alone are no lengths in styles. */
export const px = (value: number) => `${value}px`
