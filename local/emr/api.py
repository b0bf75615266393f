"""The REST API of EMR Serverless, registered in the embedded AWS.

Routes, required members, ranges and patterns come from botocore's model of the service.
Source: AWS, EMR Serverless API Reference.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import botocore.session

from local.emr.model import Application, JobRun
from local.emr.request_validation import ValidationError, check_request, operation
from local.emr.service import ConflictError, EmrServerless, NotFoundError
from local.seams import ministack_cloud, ministack_emr

RESOURCE_TYPE = "AWS::EMRServerless::Application"
MAX_PAGE = 50
Parameters = dict[str, Any]
Call = Callable[[Parameters], dict[str, Any]]


class AccessDeniedError(Exception):
    """AWS's AccessDeniedException."""


STATUS = {
    ValidationError: ("ValidationException", 400),
    NotFoundError: ("ResourceNotFoundException", 404),
    ConflictError: ("ConflictException", 409),
    AccessDeniedError: ("AccessDeniedException", 403),
}


class Api:
    """Answers requests from the state in `service`."""

    def __init__(self, service: EmrServerless) -> None:
        self._service = service
        self._calls: dict[str, Call] = {
            "CreateApplication": self._create_application,
            "GetApplication": lambda p: {"application": self._application(p).description()},
            "ListApplications": self._list_applications,
            "UpdateApplication": self._update_application,
            "StartApplication": self._change_application(service.start_application),
            "StopApplication": self._change_application(service.stop_application),
            "DeleteApplication": self._change_application(service.delete_application),
            "StartJobRun": self._start_job_run,
            "GetJobRun": lambda p: {"jobRun": self._job_run(p).description()},
            "ListJobRuns": self._list_job_runs,
            "ListJobRunAttempts": self._list_job_run_attempts,
            "CancelJobRun": self._cancel_job_run,
            "TagResource": self._tag_resource,
            "UntagResource": self._untag_resource,
            "ListTagsForResource": lambda p: {"tags": self._service.tags(p["resourceArn"])},
        }
        self._routes = [
            (http["method"], _pattern(http["requestUri"]), name)
            for name in botocore.session.get_session().get_service_model(ministack_emr.SERVICE).operation_names
            if (http := operation(name).http)
        ]

    def register(self) -> None:
        """Serve the API and the CloudFormation type, and let IAM judge by resource."""
        ministack_emr.judge_by_resource()
        ministack_cloud.register_service(ministack_emr.SERVICE, self.handle)
        ministack_cloud.register_resource_type(
            RESOURCE_TYPE, create=self._create_resource, delete=self._delete_resource
        )

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> ministack_cloud.Response:
        """Answer one request."""
        name, in_path = self._route(method, path)
        call = self._calls.get(name)
        if call is None:
            return _error("ValidationException", f"{name or path} is not supported by the laptop cloud", 400)
        try:
            parameters = {**_body(body), **_query(name, query), **in_path}
            check_request(name, parameters)
            if name == "StartJobRun":
                _check_pass_role(parameters, headers, query)
            return 200, {"Content-Type": "application/json"}, json.dumps(call(parameters)).encode()
        except tuple(STATUS) as error:
            code, status = STATUS[type(error)]
            return _error(code, str(error), status)

    def _route(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        for route_method, pattern, name in self._routes:
            if route_method == method and (match := pattern.fullmatch(path.rstrip("/"))):
                return name, {key: unquote(value) for key, value in match.groupdict().items()}
        return "", {}

    def _application(self, parameters: Parameters) -> Application:
        return self._service.application(
            ministack_cloud.account(), ministack_cloud.region(), parameters["applicationId"]
        )

    def _change_application(self, change: Callable[[Application], None]) -> Call:
        def call(parameters: Parameters) -> dict[str, Any]:
            change(self._application(parameters))
            return {}

        return call

    def _job_run(self, parameters: Parameters) -> JobRun:
        return self._service.job_run(self._application(parameters), parameters["jobRunId"])

    def _create_application(self, parameters: Parameters) -> dict[str, Any]:
        made = self._service.create_application(ministack_cloud.account(), ministack_cloud.region(), parameters)
        return {"applicationId": made.application_id, "name": made.name, "arn": made.arn}

    def _update_application(self, parameters: Parameters) -> dict[str, Any]:
        application = self._application(parameters)
        self._service.update_application(application, parameters)
        return {"application": application.description()}

    def _list_applications(self, parameters: Parameters) -> dict[str, Any]:
        applications = self._service.applications(ministack_cloud.account(), ministack_cloud.region())
        states = parameters.get("states")
        return _page("applications", [a.summary() for a in applications if not states or a.state in states], parameters)

    def _start_job_run(self, parameters: Parameters) -> dict[str, Any]:
        application = self._application(parameters)
        job_run = self._service.start_job_run(application, parameters, ministack_emr.caller_arn())
        return {"applicationId": application.application_id, "jobRunId": job_run.job_run_id, "arn": job_run.arn}

    def _list_job_runs(self, parameters: Parameters) -> dict[str, Any]:
        after, before = parameters.get("createdAtAfter"), parameters.get("createdAtBefore")
        states, mode = parameters.get("states"), parameters.get("mode")
        job_runs = [
            job_run.summary()
            for job_run in self._service.job_runs(self._application(parameters))
            if (not states or job_run.state in states)
            and (not mode or job_run.request.get("mode", "BATCH") == mode)
            and (after is None or job_run.created_at >= after)
            and (before is None or job_run.created_at <= before)
        ]
        return _page("jobRuns", job_runs, parameters)

    def _list_job_run_attempts(self, parameters: Parameters) -> dict[str, Any]:
        summary = self._job_run(parameters).summary()
        attempt = {name: value for name, value in summary.items() if name not in ("attemptCreatedAt", "executionRole")}
        return {"jobRunAttempts": [{**attempt, "jobCreatedAt": summary["createdAt"]}]}

    def _cancel_job_run(self, parameters: Parameters) -> dict[str, Any]:
        job_run = self._job_run(parameters)
        grace = int(parameters.get("shutdownGracePeriodInSeconds") or 0)
        self._service.cancel_job_run(job_run, grace_seconds=grace)
        return {"applicationId": parameters["applicationId"], "jobRunId": job_run.job_run_id}

    def _tag_resource(self, parameters: Parameters) -> dict[str, Any]:
        self._service.tags(parameters["resourceArn"]).update(parameters["tags"])
        return {}

    def _untag_resource(self, parameters: Parameters) -> dict[str, Any]:
        tags = self._service.tags(parameters["resourceArn"])
        for key in parameters["tagKeys"]:
            tags.pop(key, None)
        return {}

    def _create_resource(self, logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        request = {
            **_as_request({name: value for name, value in properties.items() if name != "Tags"}),
            "clientToken": f"{logical_id}-{uuid.uuid4()}"[-64:].lstrip("-"),
            "tags": {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []},
        }
        check_request("CreateApplication", request)
        made = self._service.create_application(ministack_cloud.account(), ministack_cloud.region(), request)
        return made.application_id, {"ApplicationId": made.application_id, "Arn": made.arn}

    def _delete_resource(self, physical_id: str, _properties: dict[str, Any]) -> None:
        self._service.remove_application(physical_id)


def _pattern(uri: str) -> re.Pattern[str]:
    """The route of an operation; a resource ARN holds slashes."""
    return re.compile(
        re.sub(r"\\{(\w+)\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[1] == 'resourceArn' else '[^/]+'})", re.escape(uri))
    )


def _check_pass_role(parameters: Parameters, headers: dict[str, str], query: dict[str, Any]) -> None:
    role_arn = parameters["executionRoleArn"]
    if not ministack_emr.may_pass_role(role_arn, headers, query, ministack_cloud.region()):
        raise AccessDeniedError(
            f"User: {ministack_emr.caller_arn()} is not authorized to perform: iam:PassRole on resource: {role_arn}"
        )


def _body(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise ValidationError("The request's body is not JSON") from error
    if not isinstance(parsed, dict):
        raise ValidationError("The request's body is not a JSON object")
    return parsed


def _query(name: str, query: dict[str, Any]) -> dict[str, Any]:
    """The parameters in the query string, in the types of the model."""
    shape = operation(name).input_shape
    members = shape.members if shape is not None else {}
    parameters: dict[str, Any] = {}
    for member, member_shape in members.items():
        wire_name = member_shape.serialization.get("name", member)
        if member_shape.serialization.get("location") != "querystring" or wire_name not in query:
            continue
        values = query[wire_name] if isinstance(query[wire_name], list) else [query[wire_name]]
        try:
            if member_shape.type_name == "list":
                parameters[member] = values
            elif member_shape.type_name in ("integer", "long"):
                parameters[member] = int(values[0])
            elif member_shape.type_name == "timestamp":
                parameters[member] = datetime.fromisoformat(values[0]).timestamp()
            else:
                parameters[member] = values[0]
        except ValueError as error:
            raise ValidationError(f"Value at '{member}' failed to satisfy constraint: {error}") from error
    return parameters


def _page(name: str, items: list[dict[str, Any]], parameters: Parameters) -> dict[str, Any]:
    """One page; the token names the last item seen, so that new job runs do not shift the next page."""
    size = parameters.get("maxResults") or MAX_PAGE
    start = 0
    if token := parameters.get("nextToken"):
        try:
            last = base64.urlsafe_b64decode(token).decode()
            start = next(i for i, item in enumerate(items) if item["id"] == last) + 1
        except (ValueError, StopIteration) as error:
            raise ValidationError("nextToken is not one of this list") from error
    page = items[start : start + size]
    more = start + size < len(items)
    token_of = {"nextToken": base64.urlsafe_b64encode(page[-1]["id"].encode()).decode()} if more and page else {}
    return {name: page, **token_of}


def _as_request(value: Any) -> Any:
    """CloudFormation's properties in the API's spelling: names begin with a small letter, numbers are numbers."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _as_request(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_request(item) for item in value]
    return value


def _error(code: str, message: str, status: int) -> ministack_cloud.Response:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()
