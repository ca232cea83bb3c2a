"""Executors for `gcnnbench run … --on docs/examples/executors.py:NAME`: copy the one that you need and change it.

A factory takes no arguments and makes a `concurrent.futures.Executor`. How many cells are handed out at a time is its
`max_workers`, or `--jobs`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from threading import Thread
from typing import Any


def processes() -> Executor:
    """As many processes of this machine as it has cores; a forked child would inherit torch's threads half-alive."""
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))


def dask() -> Executor:
    """A Dask cluster of this machine; one that runs already is `Client("tcp://scheduler:8786")`."""
    from distributed import Client, LocalCluster

    client = Client(LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None))
    executor: Any = client.get_executor()
    executor.max_workers = sum(client.nthreads().values())
    return executor  # type: ignore[no-any-return]


def executorlib() -> Executor:
    """Two processes of this machine; they stay, so that torch is imported once in each, and come back when lost."""
    from executorlib import SingleNodeExecutor

    made: Executor = SingleNodeExecutor(max_workers=2, block_allocation=True, restart_limit=100)
    return made


def slurm_allocation() -> Executor:
    """Within `salloc` or `sbatch`: eight workers of one core each, started by `srun` in the allocation."""
    from executorlib import SlurmJobExecutor

    made: Executor = SlurmJobExecutor(
        max_workers=8, resource_dict={"cores": 1, "threads_per_core": 1}, block_allocation=True, restart_limit=100
    )
    return made


def slurm_jobs() -> Executor:
    """By submitit: each turn is a job of SLURM's own, so turns should be long (`--state-seconds 3600`)."""
    return Submitit(64, cluster="slurm", timeout_min=120, cpus_per_task=1, mem_gb=8, slurm_partition="compute")


def submitit_here() -> Executor:
    """By submitit without SLURM: what `slurm_jobs` does, in processes of this machine."""
    return Submitit(2, cluster="local", timeout_min=120)


class Submitit(Executor):
    """submitit's jobs as futures of the standard library.

    Args:
        max_workers: jobs at a time.
        cluster: `slurm`, or `local` for processes of this machine.
        parameters: of the jobs, as submitit's `AutoExecutor.update_parameters` takes them.
    """

    def __init__(self, max_workers: int, cluster: str, **parameters: object) -> None:
        from submitit import AutoExecutor

        self.max_workers = max_workers
        self.jobs: Any = AutoExecutor(folder="submitit_jobs", cluster=cluster)
        self.jobs.update_parameters(**parameters)
        self.running: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a job and wait for it in a thread."""
        job, future = self.jobs.submit(fn, *args, **kwargs), Future[Any]()
        self.running.append(job)

        def wait() -> None:
            try:
                while not job.done():
                    time.sleep(1)
                future.set_result(job.result())
            except Exception as error:
                future.set_exception(error)
            finally:
                self.running.remove(job)

        Thread(target=wait, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Cancel what still runs, where that is asked for."""
        for job in list(self.running) if cancel_futures else []:
            job.cancel()
