// The definition of a run as a graph, with where each step stands; what draws it is loaded when it is first looked at.
import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Run, Step } from '../../api'
import { Skeleton } from '../../ui/controls'

interface Props {
  run: Run
  steps: readonly Step[]
}

export default function Graph(props: Props) {
  const [Drawn, setDrawn] = useState<ComponentType<Props>>()
  useEffect(() => {
    void import('../../graph/RunGraph').then(({ default: loaded }) => setDrawn(() => loaded))
  }, [])
  return Drawn ? <Drawn {...props} /> : <Skeleton />
}
