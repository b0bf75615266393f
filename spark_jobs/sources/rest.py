"""What sources behind an HTTP API share: patience with them, a session that is renewed, and errors that tell why.

A reader runs in Spark's tasks. What a task raises reaches the driver as the text of a traceback, so an error of this
platform is put into that text by `told_to_the_driver` and taken out of it by `told_by_a_task`.

Source: RFC 9110, 10.2.3 (Retry-After); https://tenacity.readthedocs.io
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

from contracts import errors
from contracts.errors import AssayError, SourceFailedError, SourceUnavailableError
from spark_jobs.sources.credentials import CredentialsRefusedError, signed_in

T = TypeVar("T")
U = TypeVar("U")

_TOLD = re.compile(r'assay-error (\{"error": .*\}) assay-end')


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long one request may be repeated before its source counts as unavailable."""

    seconds: float = 300.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 30.0
    attempts: int = 12


PATIENCE = Patience()
LITTLE_PATIENCE = Patience(seconds=30.0, attempts=5)


class TemporaryError(Exception):
    """A request that may well succeed when it is made again.

    Args:
        reason: what came instead of an answer, such as `status 503`; never a person's data or a secret.
        retry_after_seconds: how long the source asks to wait; None when it does not say.
    """

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


def patiently(source: str, ask: Callable[[], T], patience: Patience) -> T:
    """What `ask` gives, asked again for as long as it raises TemporaryError and the patience lasts.

    Args:
        source: the source's name, for the error.
        ask: one request. A wait that the source asks for is kept exactly, or not begun when it outlasts the patience.
        patience: how long and how often.
    Raises:
        SourceFailedError: the patience is over.
    """
    import tenacity

    backoff = tenacity.wait_exponential_jitter(
        multiplier=patience.first_wait_seconds, max=patience.longest_wait_seconds, jitter=patience.first_wait_seconds
    )

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_for = error.retry_after_seconds if isinstance(error, TemporaryError) else None
        return backoff(state) if asked_for is None else asked_for

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TemporaryError),
        stop=tenacity.stop_before_delay(patience.seconds) | tenacity.stop_after_attempt(patience.attempts),
        wait=wait,
        reraise=True,
    )
    try:
        return retrying(ask)
    except TemporaryError as error:
        asked = retrying.statistics["attempt_number"]
        times = "once" if asked == 1 else f"{asked} times"
        waits = error.retry_after_seconds
        longer = f" and asks to wait {waits:.0f} s" if waits is not None else ""
        raise SourceFailedError(
            f"{source}: asked {times}, the last answer was {error}{longer}; redrive the execution once it answers again"
        ) from None


def _of_this_attempt(patience: Patience) -> Patience:
    """Less patience in a task that Spark tries again: it does so three times, and each would wait as long as the first.

    Source: https://spark.apache.org/docs/latest/configuration.html (spark.task.maxFailures)
    """
    from pyspark import TaskContext

    task = TaskContext.get()
    return patience if task is None or task.attemptNumber() == 0 else min(patience, LITTLE_PATIENCE, key=_lasts)


def _lasts(patience: Patience) -> float:
    return patience.seconds


class SignedIn(Generic[T]):
    """A client that signs in when it is first used, and anew when a request finds that the session is over.

    Args:
        source: the source's name, for errors.
        secret_arn: the secret; read at each sign-in, never kept.
        sign_in: takes the secret, gives a client.
        patience: of each request and each sign-in.
    """

    def __init__(
        self, source: str, secret_arn: str | None, sign_in: Callable[[Mapping[str, Any]], T], patience: Patience
    ) -> None:
        self._source, self._secret_arn, self._patience = source, secret_arn, _of_this_attempt(patience)
        self._sign_in = sign_in
        self._client: T | None = None

    def ask(self, request: Callable[[T], U]) -> U:
        """What `request` gives for the client.

        Args:
            request: raises TemporaryError to be asked again, CredentialsRefusedError to be asked once more after a new
                sign-in: a token expires, and a secret is rotated, while a run reads.
        Raises:
            InvalidRequestError: there is no secret.
            SourceFailedError: the source did not answer, or refused the credentials twice.
        """
        refused = None
        for _ in range(2):
            client = self._client or signed_in(self._source, self._secret_arn, self._sign_in_patiently)
            try:
                answer = patiently(self._source, lambda client=client: request(client), self._patience)  # type: ignore[misc]
            except CredentialsRefusedError as error:
                self._client, refused = None, error
            else:
                self._client = client
                return answer
        raise SourceFailedError(
            f"{self._source}: {refused}, and again after a new sign-in; have its secret and its user's rights put"
            " right, then redrive"
        )

    def _sign_in_patiently(self, secret: Mapping[str, Any]) -> T:
        return patiently(self._source, lambda: self._sign_in(secret), self._patience)


def error_of_status(system: str, status: int, retry_after: str | None = None, code: str = "") -> Exception:
    """The error for an answer that is no success.

    Args:
        system: its name, such as Salesforce.
        status: HTTP's status.
        retry_after: the header, seconds or a date.
        code: the system's own name of the error; never its message, which quotes requests and data.
    Returns:
        CredentialsRefusedError for 401; TemporaryError for 408, 425, 429 and 5xx; else SourceFailedError.
    """
    answer = f"{system}'s status {status}" + (f" ({code})" if code else "")
    if status == 401:
        return CredentialsRefusedError(f"{system} refused the credentials (status 401{code and f', {code}'})")
    if status in (408, 425, 429) or status >= 500:
        return TemporaryError(answer, retry_after_seconds=seconds_to_wait(retry_after))
    return SourceFailedError(f"the answer was {answer}; see what the request lacks, then redrive the execution")


def seconds_to_wait(retry_after: str | None, now: datetime | None = None) -> float | None:
    """What a Retry-After header asks for; None without one, or when it says neither seconds nor a date."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def page_with(page: Any, **wanted: type) -> Any:
    """The page, when it is an object with members of these types.

    Raises:
        TemporaryError: a page cut short, or of another shape, such as the notice of a proxy.
    """
    if not isinstance(page, dict):
        raise TemporaryError(f"a page that is no object but {type(page).__name__}")
    for name, kind in wanted.items():
        if not isinstance(page.get(name), kind):
            raise TemporaryError(f"a page without {name}")
    return page


@contextmanager
def told_to_the_driver() -> Iterator[None]:
    """A block in a task whose errors of this platform reach the driver as themselves, and alone."""
    try:
        yield
    except AssayError as error:
        arguments = error.__reduce__()[1]
        told = json.dumps({"error": type(error).__name__, "arguments": list(arguments)})
        # in one piece, for a traceback quotes the line that raises
        message = f"assay-error {told} assay-end"
        raise RuntimeError(message) from None


def told_by_a_task(error: BaseException) -> AssayError | None:
    """The error of this platform that a task raised; None when Spark failed for another reason."""
    found = _TOLD.search(str(error))
    if found is None:
        return None
    told = json.loads(found[1])
    kind = getattr(errors, told["error"], SourceUnavailableError)
    again: AssayError = kind(*told["arguments"])
    return again
