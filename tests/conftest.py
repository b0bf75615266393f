import os

import pytest

from local.processes import free_port


def pytest_collection_modifyitems(items):
    """What runs in one process together: a file's tests, and all that use the laptop cloud, so that there is one."""
    for item in items:
        together = "laptop" if "laptop" in item.fixturenames else item.path.name
        item.add_marker(pytest.mark.xdist_group(together))


@pytest.fixture(scope="session")
def laptop(tmp_path_factory):
    """One laptop cloud for all tests that run whole days; its own home and port, so that yours may stay up."""
    from laptop import Laptop

    os.environ["ASSAY_HOME"] = str(tmp_path_factory.mktemp("home"))
    os.environ["ASSAY_PORT"] = str(free_port())
    with Laptop.up() as cloud:
        yield cloud
