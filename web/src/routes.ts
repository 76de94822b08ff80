// The screens, each loaded when it is first shown. `app/dashboard/screens.py` names the same addresses to the service.
import type { ComponentType } from 'preact'

export type Screen = ComponentType<{ names: Record<string, string> }>

export interface Route {
  pattern: string
  title: string
  load: () => Promise<{ default: Screen }>
}

export const routes: readonly Route[] = [
  { pattern: '/', title: 'Overview', load: () => import('./screens/overview/Overview') },
  { pattern: '/runs', title: 'Runs', load: () => import('./screens/runs/Runs') },
  { pattern: '/runs/:id', title: 'Run', load: () => import('./screens/run/RunScreen') },
]

/** What the head of the page leads to. */
export const NAVIGATION: readonly (readonly [string, string, string])[] = [
  ['/', 'Overview', 'g o'],
  ['/runs', 'Runs', 'g r'],
]
