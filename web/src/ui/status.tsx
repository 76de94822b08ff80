// Where something stands: an icon and a word, and a colour besides.
import { Icon, type IconName } from './icons'

const ICONS: Record<string, IconName> = {
  pending: 'pending', waiting: 'pending', runnable: 'pending', running: 'running', sleeping: 'sleeping',
  completed: 'completed', failed: 'failed', upstream_failed: 'failed', cancelled: 'cancelled', skipped: 'skipped',
  paused: 'paused', late: 'late', ok: 'completed', failing: 'failed', missed: 'failed', fired: 'completed',
}

export function tone(status: string): string {
  switch (status) {
    case 'completed': case 'ok': case 'fired': return 'good'
    case 'failed': case 'failing': case 'missed': return 'bad'
    case 'upstream_failed': case 'late': return 'warn'
    case 'running': return 'busy'
    case 'sleeping': return 'rest'
    default: return 'quiet'
  }
}

export function Status({ status, says }: { status: string; says?: string }) {
  return (
    <span class={`status ${tone(status)}`}>
      <span class="status-mark"><Icon name={ICONS[status] ?? 'pending'} size={14} /></span>
      {says ?? status.replaceAll('_', ' ')}
    </span>
  )
}
