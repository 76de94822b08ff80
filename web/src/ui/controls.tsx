// The small parts that screens are made of.
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Problem } from '../api'
import { shortId } from '../format'
import { withParameters, parameter } from '../router'
import { Icon, type IconName } from './icons'

type Variant = 'plain' | 'main' | 'danger' | 'quiet'

export function Button(
  { variant = 'plain', icon, children, class: more = '', ...rest }:
    { variant?: Variant; icon?: IconName; children?: ComponentChildren; class?: string } & Omit<JSX.IntrinsicElements['button'], 'class' | 'icon'>,
) {
  return (
    <button type="button" class={`button ${variant} ${more}`} {...rest}>
      {icon && <Icon name={icon} size={14} />}
      {children}
    </button>
  )
}

/** An id by its last twelve characters; a click copies all of it. */
export function Id({ id }: { id: string }) {
  return <Copy text={id} label={`Copy ${id}`}><code>{shortId(id)}</code></Copy>
}

export function Copy({ text, label, children }: { text: string; label?: string; children?: ComponentChildren }) {
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return undefined
    const timer = setTimeout(() => setCopied(false), 1200)
    return () => clearTimeout(timer)
  }, [isCopied])
  const copy = (event: Event) => {
    event.stopPropagation()
    void navigator.clipboard?.writeText(text).then(() => setCopied(true))
  }
  return (
    <button type="button" class="copy" title={text} aria-label={label ?? `Copy ${text}`} onClick={copy}>
      {children}
      <Icon name={isCopied ? 'completed' : 'copy'} size={12} />
    </button>
  )
}

export interface Tab {
  name: string
  title: string
  count?: number | undefined
}

/** Tabs that the address holds, in `tab`; the first is meant where it says none. */
export function Tabs({ tabs, current }: { tabs: readonly Tab[]; current: string }) {
  return (
    <nav class="tabs" aria-label="Views">
      {tabs.map(({ name, title, count: number }, at) => (
        <a key={name} href={withParameters({ tab: at ? name : undefined })} aria-current={name === current ? 'page' : undefined}>
          {title}
          {number !== undefined && <span class="badge">{number}</span>}
        </a>
      ))}
    </nav>
  )
}

export function currentTab(tabs: readonly Tab[]): string {
  const asked = parameter('tab')
  return tabs.find(({ name }) => name === asked)?.name ?? tabs[0]?.name ?? ''
}

/** What stands where there is nothing: what to do next, with the call that does it. */
export function Empty({ title, children, curl }: { title: string; children?: ComponentChildren; curl?: string }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
      {curl && <Curl text={curl} />}
    </div>
  )
}

export function Curl({ text }: { text: string }) {
  return (
    <div class="curl">
      <pre tabIndex={0}>{text}</pre>
      <Copy text={text} label="Copy the command" />
    </div>
  )
}

export function ProblemNote({ problem }: { problem: Problem | undefined }) {
  if (!problem) return null
  return (
    <div class="problem" role="alert">
      <Icon name="late" />
      <div>
        <strong>{problem.title}</strong>
        {problem.detail && <p>{problem.detail}</p>}
        {problem.errors.map(({ pointer, detail }) => <p key={pointer}><code>{pointer}</code> {detail}</p>)}
        {problem.allowed.length > 0 && <p>Allowed: {problem.allowed.join(', ')}</p>}
        {problem.requestId && <p class="faint">Request <Copy text={problem.requestId}><code>{problem.requestId}</code></Copy></p>}
      </div>
    </div>
  )
}

export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, at) => <i key={at} />)}
    </div>
  )
}

const JSON_MOST = 100_000

/** Any JSON value, as it is read best. */
export function Json({ value, label }: { value: unknown; label: string }) {
  const text = JSON.stringify(value, null, 2) ?? 'null'
  const isCut = text.length > JSON_MOST
  return (
    <div class="json">
      <pre tabIndex={0} aria-label={label}>{isCut ? `${text.slice(0, JSON_MOST)}\n…` : text}</pre>
      <Copy text={text} label={`Copy ${label}`} />
    </div>
  )
}

export function Panel({ title, aside, children, class: more = '' }:
  { title?: ComponentChildren; aside?: ComponentChildren; children: ComponentChildren; class?: string }) {
  return (
    <section class={`panel ${more}`}>
      {title && <header class="panel-head"><h2>{title}</h2>{aside && <div class="panel-aside">{aside}</div>}</header>}
      {children}
    </section>
  )
}

export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren] | false | '' | null | undefined)[] }) {
  return (
    <dl class="facts">
      {facts.map((fact) => fact && <div key={fact[0]}><dt>{fact[0]}</dt><dd>{fact[1]}</dd></div>)}
    </dl>
  )
}

export function Tags({ tags }: { tags: Record<string, unknown> }) {
  return (
    <span class="tags">
      {Object.entries(tags).map(([name, value]) => (
        <a key={name} class="tag" href={`/runs?tag=${encodeURIComponent(`${name}:${value}`)}`} title={`Runs with ${name}: ${value}`}>
          <span>{name}</span>{String(value)}
        </a>
      ))}
    </span>
  )
}

/** How much has ended, of how much: a bar in the colours of what became of it. */
export function ProgressBar({ parts, label }: { parts: readonly { tone: string; count: number }[]; label: string }) {
  const total = parts.reduce((sum, part) => sum + part.count, 0)
  return (
    <span class="progress" role="img" aria-label={label} title={label}>
      {parts.map((part) => part.count > 0 && <i key={part.tone} class={part.tone} style={{ width: `${(100 * part.count) / total}%` }} />)}
    </span>
  )
}
