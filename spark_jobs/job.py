"""What every job gets: its request, the lake, the receipts of earlier steps, its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from spark_jobs.lake import Lake
from spark_jobs.log import Log
from spark_jobs.receipts import Outcome, Receipts
from spark_jobs.request import Request

INGEST = "ingest"
CHECK_BRONZE = "check_bronze"
BRONZE_TO_SILVER = "bronze_to_silver"
CHECK_SILVER = "check_silver"
PUBLISH_SILVER = "publish_silver"
SILVER_TO_GOLD = "silver_to_gold"
CHECK_GOLD = "check_gold"
PUBLISH_GOLD = "publish_gold"
MAINTAIN = "maintain"
RESTORE_SILVER = "restore_silver"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job run, ready to work."""

    request: Request
    lake: Lake
    receipts: Receipts
    log: Log
    started_at: datetime


JobCode = Callable[[Job], Outcome]
