"""The physical names of a stage, and the ARNs that follow from them.

Names are fixed, so a policy can be written, read and reviewed as the ARNs it grants, and roles, functions and the
state machine can name each other without a circle.
"""

from __future__ import annotations

from dataclasses import dataclass

from cdk.settings import Settings

LAYERS = ("bronze", "silver", "gold")
AUDIT = "quality"  # the results of checks: no layer of data, and catalogued like one
ARRIVALS = "arrivals"  # the queue of events of files that arrived
JOB_ACTORS = ("ingest", "check", "silver", "publish_silver", "gold", "publish", "maintain", "restore")


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names and ARNs of one stage in one account and region."""

    stage: str
    account: str
    region: str

    @classmethod
    def of(cls, settings: Settings) -> Names:
        """The names of the stage that `settings` describe."""
        return cls(stage=settings.stage, account=settings.account, region=settings.region)

    @property
    def prefix(self) -> str:
        """What every name starts with."""
        return f"assay-{self.stage}"

    @property
    def lake_bucket(self) -> str:
        """The bucket of tables, candidates, receipts, requests and landing files."""
        return f"{self.prefix}-lake-{self.account}-{self.region}"

    @property
    def code_bucket(self) -> str:
        """The bucket of archives."""
        return f"{self.prefix}-code-{self.account}-{self.region}"

    @property
    def access_log_bucket(self) -> str:
        """The bucket that keeps who read what of the other two."""
        return f"{self.prefix}-logs-{self.account}-{self.region}"

    @property
    def results_bucket(self) -> str:
        """The bucket of what analysts' queries answered."""
        return f"{self.prefix}-results-{self.account}-{self.region}"

    @property
    def workgroup(self) -> str:
        """The Athena workgroup of analysts."""
        return self.named("analysts")

    @property
    def ledger_table(self) -> str:
        """The DynamoDB table of runs, claims, tokens and leases."""
        return f"{self.prefix}-ledger"

    def secret(self, system: str) -> str:
        """The secret with the credentials of a system that sources are read from."""
        return f"assay/{self.stage}/{system}"

    @property
    def daily_batch(self) -> str:
        """The workflow of a day."""
        return f"{self.prefix}-daily-batch"

    @property
    def file_arrival(self) -> str:
        """The workflow of files as they arrive."""
        return f"{self.prefix}-file-arrival"

    @property
    def maintenance(self) -> str:
        """The workflow that keeps the tables in shape."""
        return f"{self.prefix}-maintenance"

    @property
    def databases(self) -> dict[str, str]:
        """Layer, or the audit, to Glue database."""
        return {layer: f"assay_{self.stage}_{layer}" for layer in (*LAYERS, AUDIT)}

    def named(self, actor: str) -> str:
        """The name of an actor's resource: its function, role or queue."""
        return f"{self.prefix}-{actor}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def role_arn(self, actor: str) -> str:
        """The ARN of an actor's role."""
        return f"arn:aws:iam::{self.account}:role/{self.named(actor)}"

    @property
    def job_role_arns(self) -> dict[str, str]:
        """Job actor to role."""
        return {actor: self.role_arn(actor.replace("_", "-")) for actor in JOB_ACTORS}

    @property
    def ledger_arn(self) -> str:
        """The ARN of the ledger."""
        return self.arn("dynamodb", f"table/{self.ledger_table}")

    @property
    def daily_batch_arn(self) -> str:
        """The ARN of the daily batch."""
        return self.arn("states", f"stateMachine:{self.daily_batch}")

    @property
    def file_arrival_arn(self) -> str:
        """The ARN of the file arrival."""
        return self.arn("states", f"stateMachine:{self.file_arrival}")

    @property
    def maintenance_arn(self) -> str:
        """The ARN of the maintenance."""
        return self.arn("states", f"stateMachine:{self.maintenance}")

    @property
    def workflow_arns(self) -> list[str]:
        """The ARNs of the workflows."""
        return [self.daily_batch_arn, self.file_arrival_arn, self.maintenance_arn]

    @property
    def execution_arns(self) -> list[str]:
        """Every execution of the workflows, and of nothing else."""
        workflows = (self.daily_batch, self.file_arrival, self.maintenance)
        return [self.arn("states", f"execution:{name}:*") for name in workflows]

    @property
    def topic_arn(self) -> str:
        """The ARN of the topic that people subscribe to."""
        return self.arn("sns", self.named("notices"))
