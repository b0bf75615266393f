"""Receipts as OpenLineage events.

Source: https://openlineage.io/docs/spec/object-model
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
)
from openlineage.client.serde import Serde

from contracts import contract as contracts
from contracts.errors import UnknownContractError
from lambdas import ledger

PRODUCER = "urn:assay:pipeline"
LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where jobs and datasets are named: the stage's job namespace, and the lake's."""

    stage: str
    bucket: str

    @property
    def jobs(self) -> str:
        """The namespace of jobs."""
        return f"assay-{self.stage}"

    @property
    def lake(self) -> str:
        """The namespace of tables and files."""
        return f"s3://{self.bucket}"


def events(run: ledger.Run, receipts: Sequence[Mapping[str, Any]], places: Places) -> list[RunEvent]:
    """One COMPLETE event a receipt, and one for the run as a whole, which is the parent of the others."""
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=pipeline_run_id(run.run_id)),
        job=parent_run.Job(namespace=places.jobs, name=run.workflow),
    )
    nominal = nominal_time_run.NominalTimeRunFacet(
        nominalStartTime=run.interval_start or run.interval_end, nominalEndTime=run.interval_end
    )
    steps = [_event(receipt, parent, nominal, places) for receipt in receipts]
    whole = RunEvent(
        eventTime=max((event.eventTime for event in steps), default=run.opened_at),
        eventType=RunState.COMPLETE,
        producer=PRODUCER,
        run=Run(runId=pipeline_run_id(run.run_id), facets={"nominalTime": nominal}),
        job=Job(namespace=places.jobs, name=run.workflow),
    )
    return [*steps, whole]


def pipeline_run_id(run_id: str) -> str:
    """The UUID within a run_id."""
    return str(uuid.UUID(run_id.split("-", 1)[1]))


def ndjson(events_: Sequence[RunEvent], limit_bytes: int = LIMIT_BYTES) -> tuple[str, int]:
    """One event a line, as many as fit, the run's own first.

    Returns:
        The text, and the number of events left out: lineage never holds data back.
    """
    lines: list[str] = []
    size_bytes = 0
    for event in [*events_[-1:], *events_[:-1]]:
        line = Serde.to_json(event) + "\n"
        size_bytes += len(line.encode())
        if size_bytes > limit_bytes:
            break
        lines.append(line)
    return "".join(lines), len(events_) - len(lines)


def _event(
    receipt: Mapping[str, Any],
    parent: parent_run.ParentRunFacet,
    nominal: nominal_time_run.NominalTimeRunFacet,
    places: Places,
) -> RunEvent:
    step, subject, attempt = receipt["step"], receipt["subject"], receipt["attempt"]
    identity = uuid.uuid5(uuid.UUID(parent.run.runId), f"{step}/{subject}/{attempt}")
    edges = receipt.get("lineage") or []
    written = {each["table"]: each for each in receipt.get("tables") or []}
    sources = sorted({source for edge in edges for source in edge["inputs"]})
    return RunEvent(
        eventTime=receipt["ended_at"],
        eventType=RunState.COMPLETE,
        producer=PRODUCER,
        run=Run(runId=str(identity), facets={"parent": parent, "nominalTime": nominal}),
        job=Job(namespace=places.jobs, name=f"{parent.job.name}.{step}.{subject}"),
        inputs=_judged(receipt, places) + [InputDataset(namespace=places.lake, name=source) for source in sources],
        outputs=[_output(edge, written.get(edge["output"], {}), places) for edge in edges],
    )


def _judged(receipt: Mapping[str, Any], places: Places) -> list[InputDataset]:
    """The datasets that a check judged, with its results."""
    assertions: dict[str, list[data_quality_assertions_dataset.Assertion]] = {}
    for each in receipt.get("results") or []:
        assertions.setdefault(each["dataset"], []).append(
            data_quality_assertions_dataset.Assertion(
                assertion=each["expectation"],
                success=bool(each["success"]),
                column=each.get("column"),
                severity=each.get("severity"),
            )
        )
    return [
        InputDataset(
            namespace=places.lake,
            name=_table_of(dataset),
            inputFacets={
                "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
                    assertions=found
                )
            },
        )
        for dataset, found in sorted(assertions.items())
    ]


def _output(edge: Mapping[str, Any], written: Mapping[str, Any], places: Places) -> OutputDataset:
    columns = {
        name: column_lineage_dataset.Fields(inputFields=[_input_field(source, places) for source in inputs])
        for name, inputs in (edge.get("columns") or {}).items()
    }
    facets: dict[str, Any] = {}
    if columns:
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(fields=columns)
    if fields := _schema(edge["output"]):
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    if written.get("version_after") is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
            datasetVersion=str(written["version_after"])
        )
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=written.get("rows"))
    return OutputDataset(
        namespace=places.lake,
        name=edge["output"],
        facets=facets,
        outputFacets={"outputStatistics": statistics} if "rows" in written else {},
    )


def _input_field(source: str, places: Places) -> column_lineage_dataset.InputField:
    dataset, _, field = source.rpartition(".")
    return column_lineage_dataset.InputField(namespace=places.lake, name=dataset, field=field)


def _schema(table: str) -> list[schema_dataset.SchemaDatasetFacetFields]:
    try:
        columns = contracts.of_table(table).columns
    except UnknownContractError:
        return []
    return [schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in columns]


def _table_of(dataset: str) -> str:
    try:
        return contracts.load(dataset).table
    except UnknownContractError:
        return dataset
