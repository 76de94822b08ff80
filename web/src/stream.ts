// The one stream of the page: every change of the service, told to who shows something that it concerns.
import { signal } from '@preact/signals'
import { authorization, isKeyNeeded, key, type Schemas } from './api'

/** One committed change, as `GET /v1/stream` tells it. */
export type Change = Schemas['Change']

/** What is told: some changes, or null for "anything may have changed". */
export type News = readonly Change[] | null
export type StreamState = 'connecting' | 'live' | 'reconnecting' | 'polling' | 'paused'

const TELL_MS = 100
const POLL_MS = 3000
const SILENCE_MS = 40_000
const RETRY_MS = [500, 1000, 2000, 5000, 10_000]

export const streamState = signal<StreamState>('connecting')

const listeners = new Set<(news: News) => void>()
let gathered: Change[] = []
let isAnything = false
let telling: ReturnType<typeof setTimeout> | undefined
let position: string | undefined
let connection: AbortController | undefined
let round = 0

export function onNews(listener: (news: News) => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Tell what has gathered, at most ten times a second; in a tab that nobody sees, once somebody does. */
function tellSoon(): void {
  telling ??= setTimeout(() => {
    telling = undefined
    if (document.hidden || streamState.value === 'paused' || (!gathered.length && !isAnything)) return
    const news = isAnything ? null : gathered
    gathered = []
    isAnything = false
    for (const listener of [...listeners]) listener(news)
  }, TELL_MS)
}

function gather(change: Change): void {
  if (gathered.length < 5000) gathered.push(change)
  else isAnything = true
  tellSoon()
}

/** Say that anything may have changed. */
export function tellAnything(): void {
  isAnything = true
  tellSoon()
}

export function pause(isPaused: boolean): void {
  if (isPaused) {
    stop()
    streamState.value = 'paused'
  } else {
    tellAnything()
    void run()
  }
}

function stop(): void {
  round += 1
  connection?.abort()
}

/** Keep the stream open for as long as the page lives. */
export function startStream(): void {
  document.addEventListener('visibilitychange', tellSoon)
  addEventListener('offline', () => connection?.abort())
  addEventListener('online', () => streamState.value === 'reconnecting' && void run())
  key.subscribe(() => streamState.value !== 'paused' && void run())
}

async function run(): Promise<void> {
  stop()
  const mine = round
  streamState.value = position ? 'reconnecting' : 'connecting'
  for (let failures = 0; mine === round; ) {
    const outcome = await read(mine)
    if (mine !== round) return
    if (outcome === 'absent') return poll(mine)
    if (outcome === 'forgotten') {
      position = undefined
      tellAnything()
    }
    failures = outcome === 'failed' ? failures + 1 : 0
    streamState.value = 'reconnecting'
    await wait(RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 0)
  }
}

const wait = (ms: number) => new Promise((done) => setTimeout(done, ms))

async function poll(mine: number): Promise<void> {
  streamState.value = 'polling'
  while (mine === round) {
    await wait(POLL_MS)
    if (mine === round && !isKeyNeeded.value) tellAnything()
  }
}

/** Read the stream until it ends, and say how it did. */
async function read(mine: number): Promise<'ended' | 'failed' | 'absent' | 'forgotten'> {
  const opened = (connection = new AbortController())
  let watchdog: ReturnType<typeof setTimeout> | undefined
  const watch = () => {
    clearTimeout(watchdog)
    watchdog = setTimeout(() => opened.abort(), SILENCE_MS)
  }
  try {
    watch()
    const headers: Record<string, string> = { accept: 'text/event-stream', ...authorization() }
    if (position) headers['last-event-id'] = position
    const response = await fetch('/v1/stream', { headers, signal: opened.signal, cache: 'no-store', credentials: 'omit' })
    if (response.status === 404) return 'absent'
    if (response.status === 410 || response.status === 422) return 'forgotten'
    if (response.status === 401) isKeyNeeded.value = true
    if (!response.ok || !response.body) return 'failed'
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done || mine !== round) return 'ended'
      watch()
      const blocks = (rest + value).split(/\r?\n\r?\n/)
      rest = blocks.pop() ?? ''
      for (const block of blocks) take(block)
    }
  } catch {
    return 'failed'
  } finally {
    clearTimeout(watchdog)
    opened.abort()
  }
}

function take(block: string): void {
  let event = ''
  let data = ''
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith('id:')) position = line.slice(3).trim()
    else if (line.startsWith('event:')) event = line.slice(6).trim()
    else if (line.startsWith('data:')) data += line.slice(5)
  }
  if (event === 'hello') {
    // What was shown before may be older than where the stream begins; what it goes on from by position is not.
    if (streamState.value === 'connecting') tellAnything()
    streamState.value = 'live'
  } else if (data && event !== 'bye') {
    gather(JSON.parse(data) as Change)
  }
}
