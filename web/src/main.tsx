// The page: starts its clock, its stream and its keys, and shows the screen that the address means.
import { render } from 'preact'
import { startClock } from './clock'
import { listenForKeys } from './keys'
import { followLinks } from './router'
import { startStream } from './stream'
import { Page } from './Page'

followLinks()
startClock()
startStream()
listenForKeys()
render(<Page />, document.getElementById('page') as HTMLElement)
