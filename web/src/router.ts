// Where the reader is: the address holds the screen, and all that they chose on it.
import { computed, signal } from '@preact/signals'

export interface Place {
  path: string
  query: URLSearchParams
}

function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) }
}

export const place = signal<Place>(here())
export const path = computed(() => place.value.path)

export function navigate(to: string, how: 'push' | 'replace' = 'push'): void {
  const target = new URL(to, location.href)
  const isSame = target.pathname === location.pathname && target.search === location.search
  const isOther = target.pathname !== location.pathname
  history[how === 'replace' || isSame ? 'replaceState' : 'pushState'](null, '', target)
  place.value = here()
  if (isOther) {
    scrollTo(0, 0)
    document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true })
  }
}

export type Parameters = Record<string, string | readonly string[] | undefined>

/** Return the address of this place with some parameters changed; undefined and '' take one away. */
export function withParameters(changes: Parameters): string {
  const query = new URLSearchParams(place.value.query)
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name)
    for (const one of Array.isArray(value) ? value : [value]) if (one) query.append(name, one as string)
  }
  return query.size ? `${place.value.path}?${query}` : place.value.path
}

export function setParameters(changes: Parameters, how: 'push' | 'replace' = 'replace'): void {
  navigate(withParameters(changes), how)
}

export function parameter(name: string): string {
  return place.value.query.get(name) ?? ''
}

/** Return the names in a path that fits a pattern such as `/runs/:id`; undefined where it does not. */
export function match(pattern: string, address: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const parts = address.replace(/(.)\/$/, '$1').split('/')
  if (wanted.length !== parts.length) return undefined
  const names: Record<string, string> = {}
  for (const [at, part] of wanted.entries()) {
    const given = parts[at] ?? ''
    if (part.startsWith(':') && given) names[part.slice(1)] = decode(given)
    else if (part !== given) return undefined
  }
  return names
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const NOT_OURS = /^\/(v1|docs|openapi\.json|problems|metrics|livez|readyz|assets)(\/|$)/

/** Follow links of the page without loading it anew. */
export function followLinks(): void {
  addEventListener('popstate', () => (place.value = here()))
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element).closest('a')
    if (!link || link.target || link.origin !== location.origin || link.hasAttribute('download')) return
    if (NOT_OURS.test(link.pathname) || (link.hash && link.pathname === location.pathname)) return
    event.preventDefault()
    navigate(link.pathname + link.search)
  })
}
