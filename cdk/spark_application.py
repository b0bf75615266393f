"""The EMR Serverless application that every Spark job run of a stage uses."""

from __future__ import annotations

from aws_cdk import aws_emrserverless as emrserverless
from constructs import Construct

from cdk.names import Names
from cdk.network import Network
from cdk.settings import InitialCapacity, Resources, SparkSettings

# Spark 4.1.1, Delta 4.2.0, Python 3.11, Java 17; long-term support until September 2029.
RELEASE_LABEL = "emr-spark-8.1.0"
ARCHITECTURES = {"arm64": "ARM64", "x86_64": "X86_64"}

Cfn = emrserverless.CfnApplication


class SparkApplication(Construct):
    """Starts with the first job run and stops itself when idle, so a day without a run costs no compute."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        settings: SparkSettings,
        architecture: str,
        network: Network | None,
    ) -> None:
        super().__init__(scope, construct_id)
        capacity = settings.initial_capacity
        application = Cfn(
            self,
            "Application",
            name=names.prefix,
            release_label=RELEASE_LABEL,
            type="Spark",
            architecture=ARCHITECTURES[architecture],
            auto_start_configuration=Cfn.AutoStartConfigurationProperty(enabled=True),
            auto_stop_configuration=Cfn.AutoStopConfigurationProperty(
                enabled=True, idle_timeout_minutes=settings.auto_stop_minutes
            ),
            initial_capacity=_initial(capacity) if capacity else None,
            maximum_capacity=Cfn.MaximumAllowedResourcesProperty(
                cpu=_cpu(settings.maximum), memory=_memory(settings.maximum), disk=_disk(settings.maximum)
            ),
            network_configuration=Cfn.NetworkConfigurationProperty(
                subnet_ids=network.subnet_ids, security_group_ids=network.security_group_ids
            )
            if network
            else None,
        )
        self.application_id: str = application.attr_application_id
        self.application_arn: str = application.attr_arn


def _initial(capacity: InitialCapacity) -> list[Cfn.InitialCapacityConfigKeyValuePairProperty]:
    return [
        Cfn.InitialCapacityConfigKeyValuePairProperty(
            key=kind,
            value=Cfn.InitialCapacityConfigProperty(
                worker_count=count,
                worker_configuration=Cfn.WorkerConfigurationProperty(
                    cpu=_cpu(capacity.worker), memory=_memory(capacity.worker), disk=_disk(capacity.worker)
                ),
            ),
        )
        for kind, count in (("Driver", capacity.drivers), ("Executor", capacity.executors))
    ]


def _cpu(resources: Resources) -> str:
    return f"{resources.vcpu} vCPU"


def _memory(resources: Resources) -> str:
    return f"{resources.memory_gb} GB"


def _disk(resources: Resources) -> str:
    return f"{resources.disk_gb} GB"
