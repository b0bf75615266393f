"""Personal values in one spelling, and the tokens that stand for them."""

import hashlib
import hmac
import json

import pytest
from spark_session import quiet, spark  # noqa: F401

from contracts.errors import InvalidRequestError, SourceUnavailableError
from spark_jobs import tokens
from spark_jobs.sources import credentials
from spark_jobs.sources.rest import told_by_a_task
from spark_jobs.transforms import personal

pytestmark = quiet
KEY = "canary-key-7f3a91"


@pytest.mark.parametrize(
    ("entered", "country", "number"),
    [
        pytest.param("+49 30 555-0123", None, "+49305550123", id="international"),
        pytest.param("0049 30 5550123", "DE", "+49305550123", id="dialled-out"),
        pytest.param("(030) 5550123", "DE", "+49305550123", id="national"),
        pytest.param("030.555.01.23", "DE", "+49305550123", id="dots"),
        pytest.param("201-555-0123", "US", "+12015550123", id="north-american"),
        pytest.param("+44 20 7946 0018", "US", "+442079460018", id="prefix-over-country"),
        pytest.param("030 5550123", None, None, id="no-country"),
        pytest.param("1", "DE", None, id="too-short"),
        pytest.param("25-989-741-2988-25-989", "MA", None, id="too-long"),
        pytest.param("call me", "DE", None, id="words"),
        pytest.param("", "DE", None, id="empty"),
        pytest.param(None, "DE", None, id="null"),
    ],
)
def test_a_phone_is_written_in_e164_or_is_null(entered, country, number):
    assert personal.phone_number(entered, country) == number


@pytest.mark.parametrize(
    ("entered", "code"),
    [
        pytest.param("Germany", "DE", id="name"),
        pytest.param(" GERMANY ", "DE", id="case-and-space"),
        pytest.param("de", "DE", id="alpha-2"),
        pytest.param("DEU", "DE", id="alpha-3"),
        pytest.param("Russia", "RU", id="common-name"),
        pytest.param("United  Kingdom", "GB", id="two-spaces"),
        pytest.param("UK", "GB", id="alias"),
        pytest.param("Viet Nam", "VN", id="iso-spelling"),
        pytest.param("Atlantis", None, id="none"),
        pytest.param("  ", None, id="empty"),
        pytest.param(None, None, id="null"),
    ],
)
def test_a_country_is_its_code_or_null(entered, code):
    assert personal.country_code(entered) == code


def test_addresses_and_names_have_one_spelling(spark):  # noqa: F811
    rows = spark.createDataFrame(
        [(" Ann@Example.COM ", "Ann", "  Lee"), ("", " ", None), (None, None, "Ödön\u00a0 VON\tHorváth ")],
        "email string, first string, last string",
    )
    shown = rows.select(personal.email(rows.email), personal.words(rows["first"], rows["last"])).collect()
    assert [tuple(row) for row in shown] == [
        ("ann@example.com", "ann lee"),
        (None, None),
        (None, "ödön von horváth"),
    ]


def test_a_token_is_the_keyed_hash_of_kind_and_value():
    wanted = hmac.new(KEY.encode(), b"email:ann@example.com", hashlib.sha256).hexdigest()
    assert personal.token(KEY.encode(), "email", "ann@example.com") == f"email_{wanted}"
    assert personal.token(b"other", "email", "ann@example.com") != f"email_{wanted}"
    assert personal.token(KEY.encode(), "name", "ann@example.com")[5:] != wanted
    assert personal.token(KEY.encode(), "email", None) is None


ROWS = [
    ("1", "germany", "030 5550123", "ann lee"),
    ("2", "DE", "+49 30 555-0123", "ann lee"),
    ("3", "Atlantis", "030 5550123", None),
]
SCHEMA = "id string, country string, phone string, name string"


@pytest.fixture
def workers_with_the_key(monkeypatch):
    """Spark's workers are processes without this one's Secrets Manager: theirs is put in place in the task."""

    def give(secret):
        settling = tokens.settling

        def with_secret(kinds, secret_arn):
            settle = settling(kinds, secret_arn)

            def settled(rows):
                text = secret if isinstance(secret, str) else secret.read_text()
                credentials._current = lambda _: json.loads(text)
                tokens._key.cache_clear()
                return settle(rows)

            return settled

        monkeypatch.setattr(tokens, "settling", with_secret)

    return give


def test_one_number_and_one_name_have_one_token_in_any_layout(spark, workers_with_the_key):  # noqa: F811
    workers_with_the_key(json.dumps({"key": KEY}))
    rows = tokens.with_tokens(spark.createDataFrame(ROWS, SCHEMA), ["phone", "name"], "arn:key")
    assert rows.columns == ["id", "country", "phone_token", "name_token"]
    phone = personal.token(KEY.encode(), "phone", "+49305550123")
    name = personal.token(KEY.encode(), "name", "ann lee")
    assert sorted(tuple(row) for row in rows.collect()) == [
        ("1", "DE", phone, name),
        ("2", "DE", phone, name),
        ("3", None, None, None),
    ]


def test_the_key_is_in_no_plan_and_no_output_of_the_driver(spark, workers_with_the_key, capfd, tmp_path):  # noqa: F811
    """The workers take it from a file, so that the test itself does not put it into the function that is shipped."""
    held = tmp_path / "secret.json"
    held.write_text(json.dumps({"key": KEY}))
    workers_with_the_key(held)
    rows = spark.createDataFrame(ROWS, SCHEMA)
    found = tokens.with_tokens(rows, ["phone", "name"], "arn:key")
    for mode in ("extended", "codegen", "cost", "formatted"):
        found.explain(mode)
    assert len(found.collect()) == 3
    output = capfd.readouterr()
    plan = found._jdf.queryExecution().toString() + found._jdf.queryExecution().executedPlan().treeString()
    assert "_settled" in output.out
    assert KEY not in output.out + output.err + plan


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        pytest.param(f"{KEY}", "cannot be read", id="no-json"),
        pytest.param(json.dumps({"another": KEY}), "has no 'key'", id="no-key"),
        pytest.param(json.dumps({"key": ""}), "has no 'key'", id="empty"),
    ],
)
def test_a_secret_that_holds_no_key_fails_the_job_and_is_not_quoted(spark, workers_with_the_key, secret, words):  # noqa: F811
    workers_with_the_key(secret)
    rows = tokens.with_tokens(spark.createDataFrame(ROWS, SCHEMA), ["phone", "name"], "arn:key")
    with pytest.raises(Exception, match="assay-error") as failed:
        rows.collect()
    told = told_by_a_task(failed.value)
    assert isinstance(told, SourceUnavailableError)
    assert words in str(told)
    assert KEY not in str(failed.value)


def test_without_a_secret_nothing_is_tokenised(spark):  # noqa: F811
    with pytest.raises(InvalidRequestError, match="names no secret"):
        tokens.with_tokens(spark.createDataFrame(ROWS, SCHEMA), ["phone", "name"], None)
