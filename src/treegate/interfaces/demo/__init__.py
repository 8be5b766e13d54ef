"""The demo's sample law office, and the plans its story is told with."""

from treegate.interfaces.demo.office import Office, build
from treegate.interfaces.demo.story import faulty_plan, good_plan, slips, waiting_plan

__all__ = ["Office", "build", "faulty_plan", "good_plan", "slips", "waiting_plan"]
