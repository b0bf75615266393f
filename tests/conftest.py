import os

import pytest

from local.processes import free_port


@pytest.fixture(scope="session")
def laptop(tmp_path_factory):
    """One laptop cloud for all tests that run whole days; its own home and port, so that yours may stay up."""
    from laptop import Laptop

    os.environ["ASSAY_HOME"] = str(tmp_path_factory.mktemp("home"))
    os.environ["ASSAY_PORT"] = str(free_port())
    with Laptop.up() as cloud:
        yield cloud


@pytest.fixture(autouse=True)
def _nothing_stays_in_spark(request):
    """Delta keeps what it knows of every table for an hour; hundreds of tests' tables fill the heap."""
    spark = request.getfixturevalue("spark") if "spark" in request.fixturenames else None
    yield
    if spark is not None:
        from ops.bench.lakes import forget

        forget(spark)
