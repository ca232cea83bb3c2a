"""Runs cells on any `concurrent.futures.Executor`: a process pool, Dask's, Parsl's, executorlib's, an adapter of yours.

An executor gives nothing before a call returns, so turns have a time limit and bring their states back.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future

from gcnnbench.equivariance.targets import code_named
from gcnnbench.errors import UserError
from gcnnbench.outside_text import as_line
from gcnnbench.runs.elsewhere import take_whole
from gcnnbench.runs.turns import Message, Turn


class ExecutorEngine:
    """An engine on an executor, which is made anew when it is broken.

    Args:
        factory: `MODULE:FACTORY` or `FILE.py:FACTORY`, a callable that makes an executor.
        jobs: how many turns it takes at the same time; its number of workers, where it says so, without.

    Raises:
        UserError: there is no such factory, or it does not make an executor that says how many workers it has.
    """

    streams = False

    def __init__(self, factory: str, jobs: int | None = None) -> None:
        self.name = factory
        self.make: Callable[[], object] = code_named(factory)
        self.executor, self.running = self._made(), set[Future[tuple[Message, ...]]]()
        workers = jobs or getattr(self.executor, "max_workers", None) or getattr(self.executor, "_max_workers", None)
        if not isinstance(workers, int):
            self.close()
            raise UserError(
                f"{factory}: its {type(self.executor).__name__} does not say how many workers it has; --jobs N"
            )
        self.slots = workers

    def submit(self, turn: Turn, tell: Callable[[Message], None]) -> Future[None]:
        """Have a turn taken; see `Engine`."""
        try:
            future = self.executor.submit(take_whole, turn)
        except Exception:  # broken or shut down; the futures that it still holds fail or are done
            self.close()
            self.executor = self._made()
            future = self._submitted(turn)
        done: Future[None] = Future()

        def pass_on(ended: Future[tuple[Message, ...]]) -> None:
            try:
                for message in ended.result():
                    tell(message)
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)
            finally:
                self.running.discard(ended)

        self.running.add(future)
        future.add_done_callback(pass_on)
        return done

    def close(self) -> None:
        """Take no more work and wait for none; a call that runs ends with its time limit."""
        for future in list(self.running):
            future.cancel()
        self.executor.shutdown(wait=False)  # not all executors have `cancel_futures`

    def _submitted(self, turn: Turn) -> Future[tuple[Message, ...]]:
        try:
            return self.executor.submit(take_whole, turn)
        except Exception as error:
            raise UserError(
                as_line(f"{self.name}: its executor takes no work: {type(error).__name__}: {error}")
            ) from error

    def _made(self) -> Executor:
        try:
            made = self.make()
        except Exception as error:
            raise UserError(as_line(f"{self.name} makes no executor: {type(error).__name__}: {error}")) from error
        if not isinstance(made, Executor):
            raise UserError(f"{self.name} made {type(made).__name__}; it must make a concurrent.futures.Executor")
        return made
