"""Great Expectations' own verdicts, from an interpreter that has it: `python gx_verdicts.py CASES VERDICTS`.

CASES is a JSON list of batches, each with `frame`, a folder of Parquet, `parameters` of the suite, and `suite`, a
document whose expectations say in `meta.case` which one they are. VERDICTS gets, for each batch, a list in that order of
`{"success": bool}` or `{"error": str}`, and the suite as Great Expectations saves it.
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["TZ"] = "UTC"
warnings.simplefilter("ignore")

import great_expectations as gx  # noqa: E402
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402


def main(cases, verdicts):
    """Judge each batch and write what was found."""
    logging.disable(logging.CRITICAL)
    spark = session()
    context = gx.get_context(mode="ephemeral")
    source = context.data_sources.add_spark("oracle")
    whole = source.add_dataframe_asset("frames").add_batch_definition_whole_dataframe("whole")
    found = []
    for each in json.loads(Path(cases).read_text()):
        # one partition: small frames in many tasks are slow
        frame = spark.read.parquet(each["frame"]).coalesce(1).cache()
        batch = whole.get_batch({"dataframe": frame})
        found.append(judge(batch, each["suite"], each["parameters"]))
        frame.unpersist()
    Path(verdicts).write_text(json.dumps(found))
    spark.stop()


def session():
    """The settings that decide a verdict are those of a job run."""
    builder = SparkSession.builder.master("local[1]").appName("oracle")
    for name, value in {
        "spark.driver.bindAddress": "127.0.0.1",
        # what compiling a query costs, frames of a few rows never earn back
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def judge(batch, document, parameters):
    """The verdict of each expectation; those that fail together are asked again, alone."""
    verdicts, built = {}, {}
    for each in document["expectations"]:
        try:
            built[each["meta"]["case"]] = ExpectationConfiguration(**each).to_domain_obj()
        except Exception as error:  # noqa: BLE001 (whatever it refuses is its answer)
            verdicts[each["meta"]["case"]] = {"error": f"{type(error).__name__}: {error}"}
    suite = gx.ExpectationSuite(name=document["name"], expectations=list(built.values()), meta=document["meta"])
    how = {"result_format": "BOOLEAN_ONLY", "expectation_parameters": parameters}
    for result in batch.validate(suite, **how).results:
        verdicts[result.expectation_config.meta["case"]] = verdict(result)
    for case, expectation in built.items():
        if "error" in verdicts[case]:
            verdicts[case] = verdict(batch.validate(expectation, **how))
    return {"verdicts": [verdicts[case] for case in sorted(verdicts)], "suite": suite.to_json_dict()}


def verdict(result):
    """What one validation result says."""
    raised = result.exception_info or {}
    for each in [raised, *(value for value in raised.values() if isinstance(value, dict))]:
        if each.get("raised_exception"):
            return {"error": str(each.get("exception_message"))}
    return {"success": bool(result.success)}


if __name__ == "__main__":
    main(*sys.argv[1:])
