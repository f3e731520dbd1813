"""The kernel's unit of work: what a plugin's handler gets as `uow`.

Each acts for one plugin and lets it use what its manifest asks for. A service's method gets a view that acts for the
offering plugin: another object over the same state, so that a transaction ends for all its views at once.
"""

from pegboard.work.context import KERNEL, WorkContext
from pegboard.work.reading import ReadWork
from pegboard.work.stepped import SteppedWork
from pegboard.work.transaction import Work, transact

__all__ = ("KERNEL", "ReadWork", "SteppedWork", "Work", "WorkContext", "transact")
