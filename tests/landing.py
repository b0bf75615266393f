"""A lake where objects arrive: their events, the executions that these start, and what the run of a set takes."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from lambdas_world import BUCKET, EXECUTION, Faults, World, event, refusal

from contracts import contract as contracts
from lambdas import digests
from lambdas.arrival_sets import Gatherer
from lambdas.arrivals import claim, list_landed, matching
from lambdas.gathering import Arrived
from lambdas.ledger import SUCCEEDED, Ledger, Run
from lambdas.opening import Opening, open_run

FX = contracts.of_source("fx_rates")
MACHINE = "arn:aws:states:eu-west-1:000000000000:stateMachine:assay-test-file-arrival"
AT = datetime(2026, 7, 30, 15, tzinfo=UTC)


def arrived(name: str, version: int = 1, *, prefix: str = "landing/fx/", **changes: Any) -> Arrived:
    """A version of an object; later versions have larger sequencers, and other content."""
    fields: dict[str, Any] = {
        "bucket": BUCKET,
        "key": f"{prefix}{name}",
        "etag": f"e-{name}-{version}",
        "version_id": f"v-{name}-{version}",
        "sequencer": f"00{version:X}",
        "at": AT + timedelta(minutes=version),
    }
    return Arrived(**fields | changes)


def message(each: Arrived, message_id: str = "m1") -> dict[str, Any]:
    """An SQS record that carries the event of EventBridge."""
    about = {"key": each.key, "size": 1, "etag": each.etag, "sequencer": each.sequencer}
    if each.version_id:
        about["version-id"] = each.version_id
    body = event("s3_object_created", object=about, bucket={"name": each.bucket})
    body["time"] = each.at.isoformat().replace("+00:00", "Z")
    return {"messageId": message_id, "body": json.dumps(body), "eventSource": "aws:sqs"}


def opening(
    request: dict[str, Any],
    execution: str,
    workflow: str = "file_arrival",
    *,
    alive: bool = True,
    unique: str = "f" * 32,
) -> Opening:
    """What an execution asks of the ledger; `alive`: whether the run that it may supersede can still go on."""
    return Opening(
        execution_arn=EXECUTION + execution,
        request=request,
        now=AT,
        unique=unique,
        code_digest="code1",
        released=digests.released(),
        sources=("fx_rates", "snowflake_orders"),
        workflow=workflow,
        can_still_run=lambda _: alive,
    )


class Executions:
    """StartExecution of standard workflows: idempotent while the input is the same and the execution runs."""

    def __init__(self) -> None:
        self.inputs: dict[str, str] = {}
        self.ended: set[str] = set()

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, str]:  # noqa: N803, A002
        assert stateMachineArn == MACHINE
        assert 1 <= len(name) <= 80
        assert name.replace("-", "").isalnum()
        if name in self.inputs and (name in self.ended or self.inputs[name] != input):
            raise refusal("ExecutionAlreadyExists", "StartExecution")
        self.inputs[name] = input
        return {"executionArn": EXECUTION + name}


@dataclass
class Landing:
    """A lake where objects arrive, and the run of a set does what the workflow does with its objects."""

    world: World = field(default_factory=World)
    executions: Executions = field(default_factory=Executions)
    ingested: list[tuple[str, str]] = field(default_factory=list)

    def put(self, each: Arrived) -> None:
        """The object is there, in this version; its content is the version, so that its etag follows from it."""
        self.world.s3.put_object(Bucket=BUCKET, Key=each.key, Body=each.version.encode())

    def gatherer(self, faults: Faults | None = None) -> Gatherer:
        faults = faults or Faults()
        return Gatherer(
            ledger=Ledger(faults.around(self.world.store)),
            s3=faults.around(self.world.s3),
            sfn=faults.around(self.executions),
            bucket=BUCKET,
            contracts=[FX],
            workflow_arn=MACHINE,
        )

    def open(self, name: str) -> Run:
        asked = opening(json.loads(self.executions.inputs[name]), name, unique=name[-32:])
        run = self.world.ledger.run(open_run(self.world.ledger, asked)["run_id"])
        assert run is not None
        return run

    def run_all(self) -> None:
        """Each execution that was started and has not run yet: takes its objects, and succeeds."""
        for name in [each for each in self.executions.inputs if each not in self.executions.ended]:
            run = self.open(name)
            self.ingested += [(each.key, each.etag) for each in taken(self.world, run)]
            self.world.ledger.change(run, status=SUCCEEDED)
            self.executions.ended.add(name)


def taken(world: World, run: Run) -> list[Any]:
    return claim(world.ledger, FX, matching(FX, list_landed(cast(Any, world.s3), BUCKET, FX)), run)


def etag_of(each: Arrived) -> Arrived:
    """With the etag that the fake bucket gives its content."""
    s3 = World().s3
    s3.put_object(Bucket=BUCKET, Key=each.key, Body=each.version.encode())
    [page] = s3.paginate(Bucket=BUCKET, Prefix=each.key)
    return Arrived(**{**vars(each), "etag": page["Contents"][0]["ETag"].strip('"')})


FIVE = [
    etag_of(each)
    for each in (
        arrived("eurofxref-a.csv"),
        arrived("eurofxref-b.csv"),
        arrived("eurofxref-b.csv", 2),
        arrived("eurofxref-b.csv", 3),
        arrived("eurofxref-c.csv"),
    )
]
STAND = sorted((each.key, each.etag) for each in (FIVE[0], FIVE[3], FIVE[4]))
