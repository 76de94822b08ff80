// Icons, drawn with the colour of the text around them.
const PATHS = {
  completed: 'M3.5 8.5l3 3 6-7',
  failed: 'M4.5 4.5l7 7m0-7l-7 7',
  running: 'M5.5 3.8v8.4L12 8z',
  pending: 'M8 4.8V8l2.2 1.6M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2z',
  sleeping: 'M12.8 9.6A5.3 5.3 0 0 1 6.4 3.2a5.3 5.3 0 1 0 6.4 6.4z',
  cancelled: 'M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2zM3.9 12.1l8.2-8.2',
  paused: 'M5.8 4v8m4.4-8v8',
  skipped: 'M4 4.5L8 8l-4 3.5zM11.5 4v8',
  late: 'M8 5.5v3m0 2.4v.1M8 2L14.5 13.5h-13z',
  search: 'M7 2.8a4.2 4.2 0 1 1 0 8.4 4.2 4.2 0 0 1 0-8.4zm3.2 7.4l3 3',
  copy: 'M6 6h7v7H6zM10 6V3H3v7h3',
  right: 'M6 3.5L10.5 8 6 12.5',
  down: 'M3.5 6L8 10.5 12.5 6',
  close: 'M4 4l8 8m0-8l-8 8',
  key: 'M10.5 2.5a3 3 0 1 1-2.4 4.8L3 12.4V14h2v-1.5h1.5V11l2-2M10.8 5.4v.1',
  link: 'M6.5 9.5l3-3M7 5l1.5-1.5a2.8 2.8 0 0 1 4 4L11 9M9 11l-1.5 1.5a2.8 2.8 0 0 1-4-4L5 7',
  retry: 'M12.8 6.5A5 5 0 1 0 13 9M13 3v3.5H9.5',
  filter: 'M2.5 4h11M4.5 8h7M6.5 12h3',
  trash: 'M3 4.5h10M6.5 4V2.8h3V4M4.5 4.5l.6 8.7h5.8l.6-8.7',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}
