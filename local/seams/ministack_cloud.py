"""What the laptop cloud needs of ministack 1.5.33 beyond its public API.

Source: ministack 1.5.33, core/lambda_runtime.py (execution credentials, Worker._spawn), services/eventbridge.py
(events of AWS services), services/cloudformation/provisioners.py (resource types), app.py and core/router.py
(services).
"""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack import app as ministack_app
from ministack.core import iam_actions, lambda_runtime, responses, router
from ministack.core.lambda_runtime import execution_credentials
from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners

Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]
Create = Callable[[str, dict[str, Any], str], tuple[str, dict[str, str]]]
Delete = Callable[[str, dict[str, Any]], None]


def scope(account: str, region: str) -> AbstractContextManager[None]:
    """A block that acts for one account and region; threads outside a request need it."""
    scoped: AbstractContextManager[None] = responses.request_scope(account, region)
    return scoped


def account() -> str:
    """The account of the present request or scope."""
    return str(responses.get_account_id())


def region() -> str:
    """The region of the present request or scope."""
    return str(responses.get_region())


def role_credentials(role_arn: str, session_name: str) -> dict[str, str]:
    """Credentials of a session of `role_arn`, as a service gets them when it assumes the role.

    Returns:
        Keyword arguments for `boto3.client`: aws_access_key_id, aws_secret_access_key, aws_session_token.
    """
    session = execution_credentials(
        {
            "Role": role_arn,
            "FunctionName": session_name,
            "FunctionArn": f"arn:aws:lambda:{region()}:{role_arn.split(':')[4]}:function:{session_name}",
        }
    )
    return {
        "aws_access_key_id": session["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": session["AWS_SECRET_ACCESS_KEY"],
        "aws_session_token": session["AWS_SESSION_TOKEN"],
    }


def emit_event(source: str, detail_type: str, detail: Mapping[str, Any], resources: list[str] | None = None) -> None:
    """Put an event of an AWS service (source `aws.*`) on the default bus of the present scope."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "Resources": resources or []}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def register_service(name: str, handler: Handler, *, iam_namespace: str | None = None) -> None:
    """Route requests signed for service `name` to `handler`, with IAM enforced under `iam_namespace`.

    Actions are read from botocore's model of the service, so `name` must be its botocore name.
    """
    ministack_app.SERVICE_HANDLERS[name] = handler
    router.SERVICE_PATTERNS.setdefault(name, {})
    iam_actions.SERVICE_TO_IAM_NAMESPACE[name] = iam_namespace or name
    iam_actions._BOTOCORE_SERVICE_MAP[name] = [name]


def register_resource_type(resource_type: str, *, create: Create, delete: Delete) -> None:
    """Teach CloudFormation a resource type.

    Args:
        resource_type: such as AWS::EMRServerless::Application.
        create: (logical id, properties, stack name) to (physical id, attributes for Fn::GetAtt).
        delete: (physical id, properties).
    """
    provisioners._RESOURCE_HANDLERS[resource_type] = {"create": create, "delete": delete}


def count_loopback_as_secure() -> None:
    """Let bucket policies that demand TLS pass on loopback, where plain HTTP never leaves the machine."""
    pin = ministack_app.pin_request_origin

    def pin_as_secure(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, secure_transport or source_ip in ("127.0.0.1", "::1"))

    ministack_app.pin_request_origin = pin_as_secure


def unpack_code_once(folder: Path) -> None:
    """Let every Lambda worker with the same code archive share one unpacked copy, read-only in use as /var/task is.

    Ministack unpacks the archive for each worker: 5,000 files, three seconds of CPU, eleven times in a first run.

    Args:
        folder: for the copies.
    """
    lock = threading.Lock()

    class SharedZipFile(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
            archive = Path(str(self.filename))
            copy = folder / hashlib.sha256(archive.read_bytes()).hexdigest()
            with lock:
                if not copy.is_dir():
                    partial = copy.with_suffix(".partial")
                    super().extractall(partial, members, pwd)
                    partial.rename(copy)
            for entry in copy.iterdir():
                (Path(path) / entry.name).symlink_to(entry)

    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": SharedZipFile})
