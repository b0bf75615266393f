"""TPC-H moved to the present: the customers, orders, lines, products and suppliers' offers of the sample company."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local.once import once

SCALE = 0.1  # 150,000 orders, 15,000 customers
TABLES = ("orders", "customer", "nation", "lineitem", "part", "partsupp")
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

_UPDATED_SQL = f"""CAST(o_orderdate + INTERVAL {YEARS_MOVED} YEAR AS TIMESTAMP)
         + to_seconds(CAST(o_orderkey % 86400 AS INTEGER))"""
# Only constants of this module go into the texts.
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
       {_UPDATED_SQL} AS updated_at
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


ORDER_LINES_SQL = f"""
SELECT l_orderkey                                         AS order_id,
       CAST(l_linenumber AS INTEGER)                      AS line_number,
       l_partkey                                          AS product_id,
       l_suppkey                                          AS supplier_id,
       CAST(o_orderdate + INTERVAL {YEARS_MOVED} YEAR AS DATE) AS order_date,
       {CURRENCY_SQL}                                     AS currency,
       CAST(l_quantity AS DECIMAL(15, 2))                 AS quantity,
       CAST(l_extendedprice AS DECIMAL(15, 2))            AS extended_price,
       CAST(l_discount AS DECIMAL(15, 2))                 AS discount,
       CAST(l_tax AS DECIMAL(15, 2))                      AS tax,
       l_returnflag                                       AS return_flag,
       l_linestatus                                       AS line_status,
       CAST(l_shipdate + INTERVAL {YEARS_MOVED} YEAR AS DATE) AS ship_date,
       l_shipmode                                         AS ship_mode,
       {_UPDATED_SQL} AS updated_at
FROM '{{folder}}/lineitem.parquet'
JOIN '{{folder}}/orders.parquet' ON o_orderkey = l_orderkey
JOIN '{{folder}}/customer.parquet' ON c_custkey = o_custkey
JOIN '{{folder}}/nation.parquet' ON n_nationkey = c_nationkey
"""  # noqa: S608

_BEFORE_EVERY_ORDER = "TIMESTAMP '2019-12-31 00:00:00'"

PRODUCTS_SQL = f"""
SELECT p_partkey AS product_id, p_name AS name, p_mfgr AS manufacturer, p_brand AS brand, p_type AS type,
       CAST(p_size AS INTEGER) AS size, p_container AS container,
       CAST(p_retailprice AS DECIMAL(15, 2)) AS retail_price, {_BEFORE_EVERY_ORDER} AS updated_at
FROM '{{folder}}/part.parquet'
"""  # noqa: S608

PART_SUPPLY_SQL = f"""
SELECT ps_partkey AS product_id, ps_suppkey AS supplier_id, CAST(ps_availqty AS INTEGER) AS available_quantity,
       CAST(ps_supplycost AS DECIMAL(15, 2)) AS supply_cost, {_BEFORE_EVERY_ORDER} AS updated_at
FROM '{{folder}}/partsupp.parquet'
"""  # noqa: S608


def generate(folder: Path) -> Path:
    """A folder, in `folder`, of a Parquet file for each of TABLES, made once.

    It is named for what is in it, so that one with fewer tables is never taken for it.

    Source: TPC-H specification 3.0.1, section 4.2 (the generator is deterministic: the same rows everywhere).
    """

    def make(target: Path) -> None:
        command = [str(Path(sys.executable).with_name("tpchgen-cli")), "parquet", "-s", str(SCALE), "--quiet"]
        command += [f"--tables={','.join(TABLES)}", f"--output-dir={target}"]
        subprocess.run(command, check=True, capture_output=True)

    return once(folder / f"{SCALE}-{'-'.join(TABLES)}", make)
