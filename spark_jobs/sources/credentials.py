"""The credentials of a source: read by the secret's ARN at use, so that neither plan, log nor argv ever holds them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from contracts.errors import InvalidRequestError, SourceFailedError

T = TypeVar("T")


class CredentialsRefusedError(Exception):
    """A system did not accept the credentials; its sentence never holds them."""


def signed_in(source: str, secret_arn: str | None, sign_in: Callable[[Mapping[str, Any]], T]) -> T:
    """What `sign_in` gives for the secret as it is now; refused, it is read once more: it may just have been rotated.

    Args:
        source: the source's name, for the error.
        secret_arn: the secret, a JSON object.
        sign_in: takes the secret; raises CredentialsRefusedError when the system does not accept it.
    Raises:
        InvalidRequestError: the request names no secret.
        SourceFailedError: the credentials were refused twice.
    Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets.html
    """
    if not secret_arn:
        raise InvalidRequestError(f"{source}: the request names no secret")
    try:
        return sign_in(_current(secret_arn))
    except CredentialsRefusedError:
        try:
            return sign_in(_current(secret_arn))
        except CredentialsRefusedError as error:
            raise SourceFailedError(f"{source}: {error}; have its secret put right, then redrive") from None


def secret_value(what: str, secret_arn: str, name: str) -> str:
    """One text of a secret, a JSON object.

    Args:
        what: what it is, for the error.
        secret_arn: the secret.
        name: the member of the object.
    Raises:
        SourceFailedError: it cannot be read, or has no such text; what it holds is not quoted.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        value = _current(secret_arn).get(name)
    except (BotoCoreError, ClientError, ValueError) as error:
        # by its kind alone: a parser's error quotes what it could not read
        reason = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        raise SourceFailedError(
            f"{what}: its secret cannot be read ({reason}); have it and the role's right put right, then redrive"
        ) from None
    if not isinstance(value, str) or not value:
        raise SourceFailedError(f"{what}: its secret has no {name!r}; have it put right, then redrive")
    return value


def _current(secret_arn: str) -> dict[str, Any]:
    import boto3  # a second to import, and not needed by sources without credentials

    answer = boto3.client("secretsmanager").get_secret_value(SecretId=secret_arn)
    secret: dict[str, Any] = json.loads(answer["SecretString"])
    return secret
