"""TPC-H orders and customers, moved to the present: the business of the sample company."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local.once import once

SCALE = 0.1  # 150,000 orders, 15,000 customers
YEARS_MOVED = 28  # 1992-1998 becomes 2020-2026; 28 years keep the weekday of every date

# A nation trades in its own currency where the ECB quotes one today, else in US dollars.
CURRENCIES = {
    "BRAZIL": "BRL",
    "CANADA": "CAD",
    "CHINA": "CNY",
    "FRANCE": "EUR",
    "GERMANY": "EUR",
    "INDIA": "INR",
    "INDONESIA": "IDR",
    "JAPAN": "JPY",
    "ROMANIA": "RON",
    "UNITED KINGDOM": "GBP",
}

CURRENCY_SQL = "CASE n_name {} ELSE 'USD' END".format(
    " ".join(f"WHEN '{nation}' THEN '{currency}'" for nation, currency in CURRENCIES.items())
)

# Only constants of this module go into the text.
ORDERS_SQL = f"""
SELECT o_orderkey                                         AS order_id,
       o_custkey                                          AS customer_id,
       o_orderstatus                                      AS order_status,
       CAST(o_totalprice AS DECIMAL(15, 2))               AS total_price,
       CAST(o_orderdate + INTERVAL {YEARS_MOVED} YEAR AS DATE) AS order_date,
       o_orderpriority                                    AS order_priority,
       o_clerk                                            AS clerk,
       o_shippriority                                     AS ship_priority,
       o_comment                                          AS comment,
       {CURRENCY_SQL}                                     AS currency,
       CAST(o_orderdate + INTERVAL {YEARS_MOVED} YEAR AS TIMESTAMP)
         + to_seconds(CAST(o_orderkey % 86400 AS INTEGER)) AS updated_at
FROM '{{folder}}/orders.parquet'
JOIN '{{folder}}/customer.parquet' ON c_custkey = o_custkey
JOIN '{{folder}}/nation.parquet' ON n_nationkey = c_nationkey
ORDER BY order_date, order_id
"""  # noqa: S608

CUSTOMERS_SQL = """
SELECT c_custkey AS customer_id, c_name AS name, c_address AS address, n_name AS nation, c_phone AS phone,
       CAST(c_acctbal AS DECIMAL(15, 2)) AS account_balance, c_mktsegment AS market_segment, c_comment AS comment
FROM '{folder}/customer.parquet' JOIN '{folder}/nation.parquet' ON n_nationkey = c_nationkey
ORDER BY customer_id
"""


def generate(folder: Path) -> Path:
    """Parquet files of TPC-H's orders, customer and nation in `folder`, made once.

    Source: TPC-H specification 3.0.1, section 4.2 (the generator is deterministic: the same rows everywhere).
    """

    def make(target: Path) -> None:
        command = [str(Path(sys.executable).with_name("tpchgen-cli")), "parquet", "-s", str(SCALE), "--quiet"]
        command += ["--tables=orders,customer,nation", f"--output-dir={target}"]
        subprocess.run(command, check=True, capture_output=True)

    return once(folder, make)
