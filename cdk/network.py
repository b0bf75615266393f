"""The network of Spark's workers, where a stage has one."""

from __future__ import annotations

from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from cdk.names import Names
from cdk.settings import NetworkSettings


class Network(Construct):
    """Private subnets in two zones that reach the sources through NAT, and S3 and DynamoDB without it.

    Without a VPC EMR Serverless reaches S3, Glue and DynamoDB of its own region, but neither Snowflake nor anything
    inside a VPC.
    Source: https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/vpc-access.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: NetworkSettings, names: Names) -> None:
        super().__init__(scope, construct_id)
        vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=names.prefix,
            ip_addresses=ec2.IpAddresses.cidr(settings.cidr),
            availability_zones=list(settings.zones),
            nat_gateways=settings.nat_gateways,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=26, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="workers", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=22),
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
                "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
            },
            # Closing it takes a function of CDK's own that is uploaded as an asset; nothing here uses that group.
            restrict_default_security_group=False,
        )
        workers = ec2.SecurityGroup(
            self,
            "Workers",
            vpc=vpc,
            description="Spark workers: out to the sources, nothing in",
            allow_all_outbound=False,
        )
        for port in settings.egress_ports:
            workers.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(port), "sources and AWS endpoints")
        self.subnet_ids: list[str] = [subnet.subnet_id for subnet in vpc.private_subnets]
        self.security_group_ids: list[str] = [workers.security_group_id]
