"""Claim objects that arrived for a set, then start one run for the set.

Claims come first, the start last, and a message leaves its queue only after both: whatever is lost in between comes
again, finds the claims, and starts the same set. A set is sealed before its run is started, because an object that
joined it later would be in no run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contracts.contract import Contract
from contracts.errors import SourceUnavailableError
from lambdas.aws import error_code
from lambdas.gathering import Arrived, Fate, contract_of, decide, newest, set_name
from lambdas.ledger import Ledger
from lambdas.records import GATHERING, SEALED, Arrival, ArrivalSet
from lambdas.runtime import count, log
from lambdas.store import Create, Replace

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_stepfunctions import SFNClient

TRIES = 10
AT_ONCE = 90  # claims in one transaction, which has at most 100 writes


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """An object that nobody takes in this version, its source, and the claim on an earlier version."""

    arrived: Arrived
    source: str
    arrival: Arrival | None


@dataclass(frozen=True, kw_only=True)
class Gatherer:
    """The imperative part of gather_arrivals.

    Attributes:
        bucket: the lake's; nothing of another one is taken.
        contracts: of the files that the stage's runs take.
        workflow_arn: the state machine that takes a set.
    """

    ledger: Ledger
    s3: S3Client
    sfn: SFNClient
    bucket: str
    contracts: Sequence[Contract]
    workflow_arn: str

    def gather(self, arrived: Iterable[Arrived]) -> list[str]:
        """Take care of objects that arrived, in any order and any number of times.

        Returns:
            The names of the sets whose runs are started, now or before.
        Raises:
            SourceUnavailableError: others kept changing the same claims; the messages come again.
        """
        todo = [(each, contract) for each in newest(arrived) if (contract := self._contract(each))]
        sets: set[str] = set()
        for _ in range(TRIES):
            fresh = []
            for each, contract in todo:
                arrival = self.ledger.arrival(contract.source_name, each.key)
                fate = decide(each, arrival, self.ledger.status_of_claim, self._is_current)
                if fate is Fate.FRESH:
                    fresh.append(Fresh(arrived=each, source=contract.source_name, arrival=arrival))
                elif fate is Fate.CLAIMED and arrival:
                    sets.add(arrival.run_id)
                else:
                    count(f"Arrivals{fate.name.capitalize()}")
            if not fresh:
                break
            self._claim(fresh)
            # what was claimed comes back as CLAIMED, by whichever set was the quicker one
            wanted = {each.arrived.key for each in fresh}
            todo = [(each, contract) for each, contract in todo if each.key in wanted]
        else:
            raise SourceUnavailableError(f"{len(todo)} objects that arrived: their claims kept changing; ask again")
        for name in sorted(sets):
            self._start(name)
        return sorted(sets)

    def _contract(self, arrived: Arrived) -> Contract | None:
        found = contract_of(arrived, self.bucket, self.contracts)
        if found is None:
            # the key may say anything, a person's name too; with its version a person who may list the bucket finds it
            log("no contract takes an object that arrived", object_version=arrived.version)
            count("ArrivalsRefused")
        return found

    def _is_current(self, arrived: Arrived) -> bool:
        try:
            found = self.s3.head_object(Bucket=arrived.bucket, Key=arrived.key)
        except ClientError as error:
            if error_code(error) in {"404", "NoSuchKey"}:
                return False
            raise
        return found["ETag"].strip('"') == arrived.etag

    def _claim(self, fresh: Sequence[Fresh]) -> None:
        """Claim what can be claimed for a set of these objects."""
        wanted = ArrivalSet(
            name=set_name(each.arrived for each in fresh),
            status=GATHERING,
            data_date=max(each.arrived.at for each in fresh).date().isoformat(),
            sources=sorted({each.source for each in fresh}),
        )
        self.ledger.add(wanted)
        for start in range(0, len(fresh), AT_ONCE):
            together = fresh[start : start + AT_ONCE]
            if self._joined(wanted.name, together):
                continue
            for each in together:
                # one of them was claimed meanwhile; the others need not wait for it
                self._joined(wanted.name, [each])

    def _joined(self, name: str, fresh: Sequence[Fresh]) -> bool:
        """Write claims together with the set they are for, which must still be gathering."""
        found = self.ledger.arrival_set(name)
        if found is None or found.status != GATHERING:
            return False
        return self.ledger.write(
            found.change(objects=found.objects + len(fresh)), *(_claim_on(each, name) for each in fresh)
        )

    def _start(self, name: str) -> None:
        """Seal a set and start its run; one that has a run already is left alone."""
        for _ in range(TRIES):
            found = self.ledger.arrival_set(name)
            if found is None or found.run_id is not None:
                return
            if found.status == GATHERING and self.ledger.change(found, status=SEALED) is None:
                continue
            document = json.dumps({"arrival_set": name, "data_date": found.data_date})
            try:
                self.sfn.start_execution(stateMachineArn=self.workflow_arn, name=name, input=document)
            except ClientError as error:
                # Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
                if error_code(error) != "ExecutionAlreadyExists":
                    raise
            count("ArrivalSetsStarted")
            log("arrival set started", arrival_set=name, data_date=found.data_date, files=found.objects)
            return
        raise SourceUnavailableError(f"set {name}: its record kept changing; ask again")


def _claim_on(fresh: Fresh, name: str) -> Create | Replace:
    arrived = fresh.arrived
    about = {
        "etag": arrived.etag,
        "run_id": name,
        "version_id": arrived.version_id,
        "sequencer": arrived.sequencer,
    }
    if fresh.arrival is not None:
        return fresh.arrival.change(**about)
    return Arrival(source=fresh.source, object_key=arrived.key, **about).create()  # type: ignore[arg-type]
