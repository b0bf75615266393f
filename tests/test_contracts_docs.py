"""The site of the contracts: what a reader finds on it, and how a browser shows it."""

import copy
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from browser import in_a_browser, measured, pages_on_paper

from contracts import contract as contracts
from contracts import docs
from contracts.downstream import Lineage

LINEAGES = (
    Lineage(output="silver/orders", inputs=("bronze/snowflake_orders",), columns={"amount": ["bronze/snowflake_orders.total_price"]}),
    Lineage(output="gold/fct_daily_revenue", inputs=("silver/orders",), columns={"revenue": ["silver/orders.amount"]}),
)  # fmt: skip
EVIL = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


def next_version():
    """A later snowflake_orders_bronze: a column more, a rule that asks more, and words that a page must not run."""
    first = contracts.load("snowflake_orders_bronze", "1-0-0")
    document = copy.deepcopy(json.loads((contracts._schemas() / "snowflake_orders_bronze" / "1-0-0.json").read_bytes()))
    document["properties"]["channel"] = {"type": ["string", "null"], "description": EVIL}
    document["properties"]["total_price"]["minimum"] = 1
    return [first, contracts.parse_document("snowflake_orders_bronze", "1-1-0", json.dumps(document).encode())]


@pytest.fixture(scope="module")
def site():
    others = [each for each in contracts.load_all() if each.dataset != "snowflake_orders_bronze"]
    versions = [*others, *next_version()]
    return docs.site(versions, LINEAGES, {f"{each.dataset}/1-0-0" for each in versions})


@pytest.fixture(scope="module")
def folder(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    for name, page in site.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(page)
    return folder


class Page(HTMLParser):
    """The text, links and loaded addresses of a page; fails on a tag that is not closed."""

    VOID = frozenset({"meta", "br", "img", "link"})

    def __init__(self, html):
        super().__init__()
        self.open, self.links, self.loaded, self.words = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name == "href"]
        self.loaded += [value for name, value in attrs if name == "src"] + [tag] * (tag in ("link", "script"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def test_there_is_an_index_and_a_page_for_each_version(site):
    assert set(site) == {
        "index.html",
        "accounts_silver/1-0-0.html",
        "contacts_silver/1-0-0.html",
        "customer_segments_gold/1-0-0.html",
        "dim_currency_gold/1-0-0.html",
        "dim_customer_gold/1-0-0.html",
        "dim_date_gold/1-0-0.html",
        "dim_product_gold/1-0-0.html",
        "fct_daily_revenue_gold/1-0-0.html",
        "fct_order_lines_gold/1-0-0.html",
        "fct_orders_gold/1-0-0.html",
        "fx_rates_bronze/1-2-0.html",
        "fx_rates_silver/1-1-0.html",
        "hubspot_contacts_bronze/1-1-0.html",
        "kpi_daily_gold/1-1-0.html",
        "opportunities_silver/1-0-0.html",
        "order_lines_silver/1-0-0.html",
        "orders_silver/1-1-0.html",
        "part_supply_silver/1-0-0.html",
        "product_performance_gold/1-0-0.html",
        "products_silver/1-0-0.html",
        "quality_results/1-0-0.html",
        "redshift_order_lines_bronze/1-0-0.html",
        "redshift_part_supply_bronze/1-0-0.html",
        "redshift_products_bronze/1-0-0.html",
        "salesforce_accounts_bronze/1-0-0.html",
        "salesforce_opportunities_bronze/1-0-0.html",
        "snowflake_orders_bronze/1-0-0.html",
        "snowflake_orders_bronze/1-1-0.html",
    }


def test_every_page_stands_alone_and_every_link_leads_somewhere(site, folder):
    for name, html in site.items():
        page = Page(html)
        assert page.loaded == []
        assert not re.search(r"url\(|@import|https?://", html)
        for link in page.links:
            assert (folder / name).parent.joinpath(link).resolve().is_file(), f"{name} links to {link}"


def test_a_page_says_what_the_contract_says(site):
    text = Page(site["snowflake_orders_bronze/1-1-0.html"]).text
    for words in (
        "Orders, as read from Snowflake",
        "total_price decimal(15,2) number, at least 1 in the order's currency silver/orders , gold/fct_daily_revenue",
        "order_status string string, one of F, O, P F fulfilled, O open, P in progress",
        "order_priority string string, length at least 1 , length at most 15",
        "comment personal string string or null",
        "Personal data clerk, comment",
        "relation ANALYTICS.SALES.ORDERS",
        "error total_price expect_column_values_to_be_between min_value 1 ; max_value 10,000,000 ; mostly 0.99",
        "1-1-0 REVISION after 1-0-0",
        "REVISION total_price minimum: asks more: minimum 0 is now minimum 1",
        "ADDITION channel added, optional, string",
        "1-1-0 draft",
    ):
        assert words in text
    older = Page(site["snowflake_orders_bronze/1-0-0.html"]).text
    assert "replaced by 1-1-0" in older
    assert "after 1-0-0" not in older


def test_a_file_s_page_says_how_text_becomes_values(site):
    text = Page(site["fx_rates_bronze/1-2-0.html"]).text
    assert 'Read as null N/A, ""' in text
    assert "prefix landing/fx/" in text
    assert "Date key string string, in the format date the day of the rates" in text


def test_the_index_leads_from_bronze_to_gold(site):
    text = Page(site["index.html"]).text
    assert f"{len(contracts.load_all())} datasets, {len(site) - 1} versions" in text
    assert text.index("Vendor FX rates") < text.index("Daily revenue")
    assert "versions 1-1-0 (draft), 1-0-0" in text


def test_the_words_of_a_contract_are_only_words(site):
    html = site["snowflake_orders_bronze/1-1-0.html"]
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_lambda_and_spark_can_import_every_module_without_what_only_a_laptop_has():
    modules = ["changes", "contract", "diff", "docs", "downstream", "odcs", "releases"]
    code = "import sys; sys.modules.update(jinja2=None, yaml=None); import " + ", ".join(
        f"contracts.{each}" for each in modules
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@in_a_browser
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("name", ["index.html", "snowflake_orders_bronze/1-1-0.html"])
def test_a_browser_shows_it_whole_loads_nothing_and_runs_nothing(site, tmp_path, name, width):
    title = "Data contracts" if name == "index.html" else "snowflake_orders_bronze 1-1-0"
    assert measured(site[name], tmp_path, width) == (title, width, True, 0)


@in_a_browser
def test_a_browser_prints_it(folder, tmp_path):
    [page] = (folder / "fx_rates_bronze").iterdir()
    assert 1 <= pages_on_paper(page, tmp_path) <= 5
