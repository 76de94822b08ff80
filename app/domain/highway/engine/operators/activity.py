"""Activities: workers do them, and another step may wait for their report."""

from app.domain.highway.engine.attempts import CALL, come_due, start
from app.domain.highway.engine.run_retry import begin_anew
from app.domain.highway.engine.turn import Phases

PHASES = Phases(start, come_due, begin_anew, assignment=CALL)
