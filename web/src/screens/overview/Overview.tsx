// What needs a person, and what is under way.
import Runs from '../runs/Runs'

export default function Overview() {
  return <Runs />
}
