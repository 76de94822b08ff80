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
  { pattern: '/tasks/:id', title: 'Task', load: () => import('./screens/task/TaskScreen') },
  { pattern: '/queues', title: 'Queues', load: () => import('./screens/queues/Queues') },
  { pattern: '/queues/:name', title: 'Queue', load: () => import('./screens/queues/QueueScreen') },
  { pattern: '/workflows', title: 'Workflows', load: () => import('./screens/workflows/Workflows') },
  { pattern: '/workflows/:name', title: 'Workflow', load: () => import('./screens/workflows/WorkflowScreen') },
  { pattern: '/workflows/:name/:version', title: 'Workflow', load: () => import('./screens/workflows/WorkflowScreen') },
  { pattern: '/schedules', title: 'Schedules', load: () => import('./screens/schedules/Schedules') },
  { pattern: '/schedules/:id', title: 'Schedule', load: () => import('./screens/schedules/ScheduleScreen') },
]

/** What the head of the page leads to. */
export const NAVIGATION: readonly (readonly [string, string, string])[] = [
  ['/', 'Overview', 'g o'],
  ['/runs', 'Runs', 'g r'],
  ['/queues', 'Queues', 'g q'],
  ['/workflows', 'Workflows', 'g w'],
  ['/schedules', 'Schedules', 'g s'],
]
