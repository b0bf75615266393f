"""Where the code of a deployment lies in the code bucket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cdk.settings import SettingsError


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Keys in the code bucket; each holds a digest of its content, so a new key is new code."""

    code_digest: str
    lambda_key: str
    spark_entry_key: str
    spark_code_key: str
    spark_deps_key: str


def load(path: Path) -> Artifacts:
    """The keys written down in `path` when the archives were built.

    Raises:
        SettingsError: the file is not there, or does not hold exactly the keys above.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: the archives are not built yet; run `make package`")
    try:
        return Artifacts(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path}: {error}; run `make package` again") from error
