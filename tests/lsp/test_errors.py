"""Every error of ghostd's has an LSP code."""

from __future__ import annotations

from collections.abc import Iterator

from ghostd_lsp.errors import INVALID_PARAMS, LSP_CODE, REQUEST_FAILED, lsp_code, rpc_error

from ghostd.errors import GhostdError, InvalidRequest, WorkerCrashed


def subclasses(base: type[GhostdError]) -> Iterator[type[GhostdError]]:
    for each in base.__subclasses__():
        yield each
        yield from subclasses(each)


def test_the_table_reaches_every_error_without_an_entry_for_the_base() -> None:
    assert GhostdError not in LSP_CODE
    vocabulary = [error for error in subclasses(GhostdError) if error.__module__ == "ghostd.errors"]
    assert all(-32803 <= lsp_code(error) <= -32600 for error in vocabulary)


def test_a_callers_mistake_is_invalid_params_and_a_models_failure_a_failed_request() -> None:
    """LSP 3.18, "ResponseError": RequestFailed is for a valid request that the server could not do."""
    wrong, failed = rpc_error(InvalidRequest("no such thing", "x")), rpc_error(WorkerCrashed("ended"))
    assert (wrong.code, str(wrong)) == (INVALID_PARAMS, "no such thing")
    assert (failed.code, str(failed)) == (REQUEST_FAILED, "ended")
