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
