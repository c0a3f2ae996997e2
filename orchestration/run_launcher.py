"""Dagster's default run launcher, which also notices a run that died with its code server.

The code server reports a run whose process dies. When the server itself is killed, nobody does:
the run stays `STARTED`, and whatever waits for it to end waits for ever. Dagster's run monitoring
closes such runs where the launcher can tell whether a worker is alive.
"""

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.dagster_run import DagsterRun
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value


class MonitoredRunLauncher(DefaultRunLauncher):
    """Launches runs in the code server and can tell whether they are alive."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Lets run monitoring ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the code server that was given the run still executes it.

        A server that does not answer may be busy: the run counts as alive until it answers.
        """
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            # Someone runs the job by hand, in a process that no code server knows.
            return CheckRunHealthResult(WorkerStatus.RUNNING, "not launched by a code server")
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code server does not answer")
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, "the code server was started again and does not know the run"
        )
