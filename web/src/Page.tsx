// The frame around every screen: where one may go, the search, and whether what is shown is live.
import { useSignalEffect } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { isKeyNeeded, key, useKey } from './api'
import { isHelpOpen, useKeys, allKeys } from './keys'
import { match, navigate, path } from './router'
import { NAVIGATION, routes, type Route, type Screen } from './routes'
import { Search } from './Search'
import { pause, streamState, type StreamState } from './stream'
import { Button, Empty, Skeleton } from './ui/controls'
import { Modal } from './ui/dialog'

export function Page() {
  useKeys([
    ...NAVIGATION.map(([to, title, keys]) => ({ key: keys, says: title, act: () => navigate(to) })),
    { key: '?', says: 'These keys', act: () => (isHelpOpen.value = true) },
    { key: '.', says: 'Pause or go on with live updates', act: () => pause(streamState.value !== 'paused') },
  ])
  return (
    <>
      <a class="skip" href="#main">Skip to the content</a>
      <Head />
      <main id="main" tabIndex={-1}>{isKeyNeeded.value ? <KeyGate /> : <Current />}</main>
      {isHelpOpen.value && <Help />}
    </>
  )
}

function Head() {
  const first = `/${path.value.split('/')[1] ?? ''}`
  return (
    <header class="head">
      <a class="logo" href="/" aria-label="Milepost, overview">
        <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
          <path class="logo-stone" d="M7 31V13a9 9 0 0 1 18 0v18z" /><path class="logo-lines" d="M12 14h8M12 19h8M12 24h5" />
        </svg>
        <span>Milepost</span>
      </a>
      <nav class="head-nav" aria-label="Screens">
        {NAVIGATION.map(([to, title]) => <a key={to} href={to} aria-current={first === to ? 'page' : undefined}>{title}</a>)}
      </nav>
      <Search />
      <Live />
      {key.value && <Button variant="quiet" icon="key" title="Forget the API key of this tab" onClick={() => { useKey(''); isKeyNeeded.value = true }}>Forget key</Button>}
    </header>
  )
}

const SAYS: Record<StreamState, readonly [string, string]> = {
  connecting: ['Connecting', 'The live stream is being opened'],
  live: ['Live', 'Changes are shown as they happen. Click to pause.'],
  reconnecting: ['Reconnecting', 'The connection was lost; it goes on where it stopped'],
  polling: ['Every 3 s', 'This service has no live stream; it is asked every three seconds. Click to pause.'],
  paused: ['Paused', 'What is shown stays as it is. Click to go on.'],
}

function Live() {
  const state = streamState.value
  const [word, title] = SAYS[state]
  return (
    <button type="button" class={`stream ${state}`} title={title} aria-pressed={state === 'paused'} onClick={() => pause(state !== 'paused')}>
      <i aria-hidden="true" /><span role="status">{word}</span>
    </button>
  )
}

interface Found {
  route: Route
  screen: Screen
}

function Current() {
  const [found, setFound] = useState<Found>()
  const [isBroken, setBroken] = useState(false)
  const route = routes.find(({ pattern }) => match(pattern, path.value))
  useSignalEffect(() => {
    const wanted = routes.find(({ pattern }) => match(pattern, path.value))
    document.title = wanted ? `${wanted.title} · Milepost` : 'Milepost'
    wanted?.load().then(({ default: screen }) => setFound({ route: wanted, screen }), () => setBroken(true))
  })
  if (!route) return <Empty title="There is nothing here">The address may be mistyped. <a href="/">Overview</a> shows what there is.</Empty>
  if (isBroken) return <Empty title="This part of the page could not be loaded"><Button onClick={() => location.reload()}>Load the page again</Button></Empty>
  if (found?.route !== route) return <div class="screen"><Skeleton /></div>
  return <found.screen key={path.value} names={match(route.pattern, path.value) ?? {}} />
}

function KeyGate() {
  const [value, setValue] = useState('')
  const isRefused = key.value !== ''
  useEffect(() => document.getElementById('key')?.focus(), [])
  const send = (event: Event) => {
    event.preventDefault()
    if (value.trim()) useKey(value.trim())
  }
  return (
    <form class="gate" onSubmit={send}>
      <h1>API key</h1>
      <p>{isRefused ? 'The service does not know this key, or it was revoked.' : 'This service asks for a key.'} It is kept for this tab only.</p>
      <label for="key">Key</label>
      <input id="key" type="password" autocomplete="off" spellcheck={false} value={value} onInput={(event) => setValue(event.currentTarget.value)} />
      <Button type="submit" variant="main" disabled={!value.trim()}>Open</Button>
      <p class="faint">Make one on the machine of the service: <code>milepost keys create me</code></p>
    </form>
  )
}

function Help() {
  return (
    <Modal title="Keys" onClose={() => (isHelpOpen.value = false)}>
      <dl class="keys">
        {allKeys().map(({ key: name, says }) => (
          <div key={name + says}><dt>{name.split(' ').map((part) => <kbd key={part}>{part}</kbd>)}</dt><dd>{says}</dd></div>
        ))}
      </dl>
    </Modal>
  )
}
