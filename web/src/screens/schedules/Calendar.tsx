// The last and the next firings, a column a day: what fired, what was missed, and what is to come.
import type { Schemas } from '../../api'
import { now } from '../../clock'
import { clock, moment } from '../../format'
import { Icon, type IconName } from '../../ui/icons'

const BEFORE = 7
const AFTER = 6
const MARKS_MOST = 6
const ICONS: Record<string, IconName> = { fired: 'completed', missed: 'failed', skipped: 'skipped', next: 'pending' }
const WEEKDAY = new Intl.DateTimeFormat('en-GB', { weekday: 'short' })
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })

interface Mark {
  at: string
  what: string
  to: string | undefined
}

export function Calendar({ slots, next }: { slots: Schemas['ScheduleSlot'][]; next: Schemas['Firing'][] }) {
  const today = new Date(now.value)
  const days = Array.from({ length: BEFORE + 1 + AFTER }, (_, at) => new Date(today.getFullYear(), today.getMonth(), today.getDate() + at - BEFORE))
  const marks: Mark[] = [
    ...slots.toReversed().map((slot) => ({ at: slot.fire_at, what: slot.outcome as string, to: slot.workflow_run_id ? `/runs/${slot.workflow_run_id}` : undefined })),
    ...next.map(({ fire_at }) => ({ at: fire_at, what: 'next', to: undefined })),
  ]
  return (
    <div class="calendar-wrap" tabIndex={0} role="group" aria-label="Firings by day">
      <ol class="calendar">
        {days.map((day) => {
          const mine = marks.filter(({ at }) => new Date(at).toDateString() === day.toDateString())
          const isToday = day.toDateString() === today.toDateString()
          return (
            <li key={day.getTime()} class={isToday ? 'today' : ''}>
              <span class="calendar-day"><b>{isToday ? 'Today' : WEEKDAY.format(day)}</b> {DAY.format(day)}</span>
              {mine.length > MARKS_MOST ? <Summary marks={mine} /> : mine.map((mark) => <One key={mark.at + mark.what} mark={mark} />)}
              {!mine.length && <span class="none">–</span>}
            </li>
          )
        })}
      </ol>
    </div>
  )
}

function One({ mark: { at, what, to } }: { mark: Mark }) {
  const inner = <><Icon name={ICONS[what] ?? 'pending'} size={12} />{clock(at).slice(0, 5)}<span class="hidden"> {what}</span></>
  const title = `${moment(at)}: ${what}`
  return to ? <a class={`firing ${what}`} href={to} title={title}>{inner}</a> : <span class={`firing ${what}`} title={title}>{inner}</span>
}

function Summary({ marks }: { marks: Mark[] }) {
  const kinds = [...new Set(marks.map(({ what }) => what))]
  return (
    <>
      {kinds.map((what) => {
        const all = marks.filter((mark) => mark.what === what)
        return <span key={what} class={`firing ${what}`} title={`${clock(all[0]?.at ?? 0)} to ${clock(all.at(-1)?.at ?? 0)}`}><Icon name={ICONS[what] ?? 'pending'} size={12} />{all.length} {what}</span>
      })}
    </>
  )
}
