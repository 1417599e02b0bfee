"""Every mistake is found in one reading, with its line, its place and what was expected."""

import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from decision.errors import InvalidInput, InvalidProgramme, NotFound
from decision.programme.read import load_programme, parse_programme
from decision.programme.template import write_template
from decision.records import Group
from tests.support import PROGRAMME, micros


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidProgramme) as caught:
        parse_programme(text)
    return caught.value.problems


def line_of(start: str, text: str) -> int:
    (found,) = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith(start)][:1]
    return found


# What is replaced, by what, where it is found, and what is said.
CHANGED: list[tuple[str, ...]] = [
    ('name = "Test shop"', "", "[programme]", "programme.name: expected a text, found nothing"),
    ('name = "Test shop"', "name = 7", "name", "programme.name: expected a text, found 7"),
    ('salt = "pepper"', 'salt = ""', "salt", "programme.salt: expected a text, found ''"),
    ('currency = "EUR"', 'currency = "Euro"', "currency", "expected an ISO 4217 code such as EUR, found 'Euro'"),
    ('currency = "EUR"', 'currency = "XXZ"', "currency", "expected an ISO 4217 code such as EUR, found 'XXZ'"),
    (
        '"Europe/Berlin"',
        '"Europe/Berln"',
        "timezone",
        "expected a time zone such as Europe/Berlin, found 'Europe/Berln'",
    ),
    ('"Europe/Berlin"', '"Europe"', "timezone", "expected a time zone such as Europe/Berlin, found 'Europe'"),
    ('"Europe/Berlin"', '"../etc"', "timezone", "expected a time zone"),
    (
        "attribution_window_days = 28",
        "attribution_window_days = 0",
        "attr",
        "expected a whole number from 1 to 365, found 0",
    ),
    ("attribution_window_days = 28", "attribution_window_days = 2.5", "attr", "found 2.5"),
    ("attribution_window_days = 28", "attribution_window_days = true", "attr", "found true"),
    (
        "refund_window_days",
        "refund_windw_days",
        "refund",
        "unknown key 'refund_windw_days'; did you mean 'refund_window_days'?",
    ),
    ("gross_margin = 0.40", "gross_margin = 40", "gross", "expected a number from 0 to 1, found 40"),
    ("gross_margin = 0.40", "gross_margin = nan", "gross", "found nan"),
    (
        "exploration_floor = 0.01",
        "exploration_floor = 0.1",
        "expl",
        "expected at most 0.0833 with 6 actions, found 0.1",
    ),
    (
        '"discount@on_page"',
        '"discount@onpage"',
        "purchase",
        "unknown action 'discount@onpage'; did you mean 'discount@on_page'?",
    ),
    ("[business_as_usual]", "[business_as_usal]", "[business_as_usal]", "business_as_usal: unknown key"),
    (
        'contact_cost = "0.02"',
        "contact_cost = 0.02",
        "contact",
        'expected an amount in quotes such as "4.50", found 0.02',
    ),
    (
        'contact_cost = "0.02"',
        'contact_cost = "-1"',
        "contact",
        "contact_cost: expected an amount of at least 0, found -1",
    ),
    ('contact_cost = "0.02"', 'contact_cost = "0.0000001"', "contact", "expected at most six decimals, found 1E-7"),
    ('contact_cost = "0.02"', 'contact_cost = "cheap"', "contact", "found 'cheap'"),
    (
        "consent_required = true",
        'consent_required = "yes"',
        "consent",
        "channels.email.consent_required: expected true or false",
    ),
    ('"21:00-08:00"', '"21-25"', "quiet", "expected two local hours such as \"21:00-08:00\", found '21-25'"),
    ('"21:00-08:00"', "21:00:00", "quiet", "expected two local hours"),
    ('"21:00-08:00"', '"21:00Z-08:00Z"', "quiet", "expected two local hours"),
    ('"21:00-08:00"', '"21:00"', "quiet", "expected two local hours"),
    ("[channels.on_page]", "[channels.control]", "[channels.control]", "expected another name: `control` does nothing"),
    ("[channels.on_page]", '[channels."*"]', '[channels."*"]', "expected another name"),
    ('kind = "free_shipping"', 'kind = "free_shiping"', 'kind = "free_s', "expected one of none, percent_discount"),
    (
        "percent = 10",
        "",
        "[offers.discount]",
        "offers.discount.percent: expected a number from 0.01 to 100, found nothing",
    ),
    ("percent = 10", "percent = 101", "percent", "found 101"),
    ('cost.on_redemption = "4.90"', "", "[offers.shipping]", "expected what the offer costs"),
    ('cost.on_redemption = "4.90"', 'cost.on_redempton = "4.90"', "cost.on", "did you mean 'on_redemption'?"),
    (
        '["on_page", "email", "sms"]',
        '["on_page", "fax"]',
        'channels = ["on',
        "unknown channel 'fax'; known: on_page, email, sms",
    ),
    (
        '["on_page", "email", "sms"]',
        '["on_page", "on_page"]',
        'channels = ["on',
        "expected each once, found 'on_page' 2 times",
    ),
    ('["on_page", "email", "sms"]', "[]", "channels = []", "expected at least one of on_page, email, sms, found none"),
    ('["on_page", "email", "sms"]', '"email"', 'channels = "email"', "expected a list of texts, found 'email'"),
    (
        "[offers.thanks]",
        '[offers."a@b"]',
        '[offers."a@b"]',
        "expected a name without . @ | and control characters, found 'a@b'",
    ),
    ("[offers.thanks]", '[offers."a.b"]', '[offers."a.b"]', "expected a name without . @ |"),
    ('region = "north"', 'region = "nort"', 'region = "n', "unknown region 'nort'; did you mean 'north'?"),
    ("loyalty = 2.0", "loyalty = -2.0", "loyalty", "expected a number from 0 to 1e+09, found -2.0"),
    ("loyalty = 2.0", "profit = 0", "[regions.north.goal]", "expected at least one weight above 0, found none"),
    ('type = "number"', 'type = "integer"', 'type = "integer"', "expected one of number, category, found 'integer'"),
    ("[features.age]", "[features.order_total]", "[features.order_total]", "Encore itself fills a fact of this name"),
]

# Lines that are wrong in an offer.
OF_AN_OFFER: list[tuple[str, ...]] = [
    ("gift = 1", "gift", "offers.discount.gift: unknown key 'gift'"),
    ("stores = ['rome']", "stores", "unknown store 'rome'; known: online, hamburg"),
    ("triggers = ['birthday']", "triggers", "unknown trigger 'birthday'; known: purchase, return"),
    ("validity_days = 29", "validity", "expected a whole number from 1 to 28, found 29"),
    ('valid_from = "2026-01-01"', "valid_from", "a date such as 2026-12-24 without quotes"),
    (
        "valid_from = 2026-01-01T00:00:00",
        "valid_from",
        "a date such as 2026-12-24 without quotes, found 2026-01-01T00:00:00",
    ),
    ("valid_from = 2026-02-01\nvalid_until = 2026-01-01", "valid_until", "a day after 2026-02-01"),
]

# Tables that are wrong.
ADDED: list[tuple[str, ...]] = [
    (
        "[budgets.b]\noffer = \"shipping\"\ncount = 3\nperiod = 'year'",
        "period",
        "expected one of day, week, month, programme",
    ),
    ('[budgets.b]\noffer = "shipping"\n', "[budgets.b]", "expected an `amount` or a `count`"),
    ('[budgets.b]\noffer = "shipping"\ncount = 3\npacing = "no"', "pacing", "expected true or false"),
    ('[budgets.b]\noffer = "shiping"\ncount = 3', "offer", "did you mean 'shipping'?"),
    ("[budgets.b]\noffer = \"shipping\"\ncount = 3\nstore = 'rome'", "store", "unknown store 'rome'"),
    ('[budgets."b|c"]\noffer = "shipping"\ncount = 3', "[budgets", "a name without"),
    ("[guardrails]\nfrequency_cap = { days = 3 }", "frequency", "contacts: expected a whole"),
    ("[guardrails]\nmargin_floor = 2", "margin_floor", "a number from -1 to 1, found 2"),
    ("[eligibility]\nrules = ['order.total >']", "rules", "expected a CEL expression"),
    ("[eligibility]\nrules = ['basket > 1']", "rules", "unknown name 'basket'"),
    ("[eligibility]\nrules = ['features.aeg > 1']", "rules", "did you mean 'age'?"),
    (
        "[eligibility]\nrules = ['order.totl >= 5.0']",
        "rules",
        "'order.totl >= 5.0': unknown order field 'totl'; did you mean 'total'?",
    ),
    (
        "[eligibility]\nrules = ['customer.x > 1']",
        "rules",
        "unknown customer field 'x'; known: orders, returns, revenue, return_rate",
    ),
    (
        "[eligibility]\nrules = ['order.total + 1.0']",
        "rules",
        "'order.total + 1.0': expected true or false, found 2.0",
    ),
    ("[eligibility]\nrules = ['trigger']", "rules", "expected true or false, found 'purchase'"),
    ("[eligibility]\nrules = ['order.total + 1 > 2']", "rules", "found an error: Unsupported operation: float + int"),
    ("[eligibility]\nrules = ['features.tier > 3']", "rules", "found an error: No such overload"),
    ("[eligibility]\nrules = ['order[\"totl\"] > 3']", "rules", "found an error: 'totl'"),
    ("[eligibility]\nrules = ['trigger == \"purchase\" || order.total']", "rules", "found an error"),
    ("[eligibility]\nrules = ['today() > 1']", "rules", "found an error: Undefined variable or function: 'today'"),
    ("[eligibility]\nmax_return_rate = '1'", "max_return", "a number from 0 to 1, found '1'"),
    ("[measurement_groups]\nholdout = 0.5", "[meas", "shares that add up to 1, found 1.45"),
    ("[measurement_groups]\nholdout = -0.05", "holdout", "a number from 0 to 1, found -0.05"),
    ("stray = 1", "stray", "unknown key 'stray'"),
]

TEN, AGE = "percent = 10", "[features.age]"
MISTAKES = [
    *CHANGED,
    *((TEN, f"{TEN}\n{line}", *rest) for line, *rest in OF_AN_OFFER),
    *((AGE, f"{table}\n{AGE}", *rest) for table, *rest in ADDED),
]


@pytest.mark.parametrize(("old", "new", "line", "sentence"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_place(old: str, new: str, line: str, sentence: str) -> None:
    assert old in PROGRAMME
    text = PROGRAMME.replace(old, new, 1)
    found = [problem for problem in mistakes(text) if sentence in problem]
    assert found, mistakes(text)
    assert found[0].startswith(f"line {line_of(line, text)}, ")


def test_all_mistakes_are_told_at_once() -> None:
    text = (
        PROGRAMME.replace("percent = 10", "percent = 0")
        .replace('"EUR"', '"eur"')
        .replace("[stores.online]", "[store.x]")
    )
    found = mistakes(text)
    assert len(found) == 3
    assert [problem.partition(":")[0].partition(", ")[2] for problem in found] == [
        "programme.currency",
        "offers.discount.percent",
        "store",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"Europe/Berlin"', '"Mars"'),
        ('currency = "EUR"', ""),
        ("gross_margin", "gros_margin"),
        ('cost.on_redemption = "4.90"', 'cost.on_redemption = "-4.90"'),
        ('cost.on_redemption = "4.90"', 'cost.on_redempton = "4.90"'),
        ("cost.share_of_basket = 0.10", "cost.share_of_basket = 1.8"),
        ('kind = "percent_discount"', 'kind = "percent_discnt"'),
        ('channels = ["on_page", "email", "sms"]', 'chanels = ["on_page", "email", "sms"]'),
        ('channels = ["on_page", "email", "sms"]', 'channels = "email"'),
        ("loyalty = 2.0", 'loyalty = "2.0"\nprofit = 0'),
        ("[features.age]", "[measurement_groups]\nholdout = 5\n[features.age]"),
        ("[features.age]", "[budgets.b]\namuont = '3'\n[features.age]"),
        ("[features.age]", "[eligibility]\nrules = ['order.totl > 1.0']\n[features.age]"),
    ],
)
def test_one_mistake_is_told_once(old: str, new: str) -> None:
    """What only follows from a mistake is not told beside it."""
    assert old in PROGRAMME
    found = mistakes(PROGRAMME.replace(old, new, 1))
    assert len(found) == 1, found


def test_an_empty_file_is_one_mistake() -> None:
    (found,) = mistakes("# nothing yet\n")
    assert "found an empty file; `encore init` writes one" in found


@pytest.mark.parametrize(
    "text", ["", "[programme]", 'x = "', "programme = 3", "[[programme]]\nname = 'x'", "offers = []"]
)
def test_what_is_hardly_a_programme_is_told_so(text: str) -> None:
    assert mistakes(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[programme]\nname =\n", "line 2: not valid TOML: name = <- is a value missing"),
        ('x = 1\nname = "Shop\n', 'line 2: not valid TOML: name = "Shop <- is a quote missing at its end?'),
        ("a = 1\na = 2\n", "line 2: not valid TOML: a = 2 <- the key stands there twice"),
        ("[a]\n[a]\n", "line 2: not valid TOML: [a] <- the table stands there twice"),
        ("a = 2026-13-01\n", "line 1: not valid TOML: a = 2026-13-01 <- "),
        ("a = 1\nb = [1,\n", "line 2: not valid TOML: b = [1, <- "),
    ],
)
def test_text_that_is_no_toml_says_where(text: str, sentence: str) -> None:
    (found,) = mistakes(text)
    assert found.startswith(sentence)


def test_a_valid_rule_with_a_macro_is_no_mistake() -> None:
    rules = (
        "['!order.products.exists(p, p == \"GIFT\")', 'order.products.all(x, x.size() > 1) && features.age > 17', "
        "'order.total >= 5', 'order.products[0] != \"order.totl\"', '!has(features.tier) || features.tier != \"vip\"', "
        "'100 / customer.orders > 1', 'int(store) > 1']"
    )
    assert parse_programme(PROGRAMME + f"[eligibility]\nrules = {rules}\n").eligibility.rules


def leaves(table: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(table, dict):
        return [path]
    return [path, *(leaf for key, value in table.items() for leaf in leaves(value, (*path, key)))][bool(not path) :]


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {written(inner)}' for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def test_no_value_of_the_wrong_kind_makes_the_reading_fail(tmp_path: Path) -> None:
    """Each key of the template in turn becomes each kind of value: a list of mistakes or a programme, no traceback."""
    write_template(tmp_path / "programme.toml")
    table = tomllib.loads((tmp_path / "programme.toml").read_text())
    values = [0, -1, 10**20, 1.5, float("inf"), float("nan"), True, "", "x", "é\x7f", [], [1], ["x", "x"], {}, {"x": 1}]
    for path in leaves(table):
        for value in values:
            changed = tomllib.loads((tmp_path / "programme.toml").read_text())
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            text = "\n".join(f'"{key}" = {written(part)}' for key, part in changed.items())
            with suppress(InvalidProgramme):
                parse_programme(text)


def test_the_template_is_valid_and_has_its_own_salt(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "programme.toml", tmp_path / "b" / "programme.toml"]
    for path in paths:
        write_template(path)
    a, b = (load_programme(path) for path in paths)
    assert a.salt != b.salt
    assert len(a.salt) == 16
    assert len(a.actions) == 16
    assert sum(a.shares.values()) == pytest.approx(1.0)
    assert a.budgets[0].amount_micros == micros(5_000.0)
    with pytest.raises(InvalidInput, match="found one"):
        write_template(paths[0])


def test_goals_are_inherited_from_programme_to_region_to_store(tmp_path: Path) -> None:
    programme = parse_programme(
        PROGRAMME + "[stores.kiel]\nregion = 'north'\ngoal.traffic = 0.5\n[goal]\nrevenue = 0.25\n"
    )
    assert (programme.goal_of(None).revenue, programme.goal_of("online").loyalty) == (0.25, 0.0)
    assert (programme.goal_of("hamburg").revenue, programme.goal_of("hamburg").loyalty) == (0.25, 2.0)
    assert (programme.goal_of("kiel").loyalty, programme.goal_of("kiel").traffic) == (2.0, 0.5)
    assert programme.goal_of("gone") == programme.goal


def test_what_is_left_out_has_defaults() -> None:
    text = PROGRAMME.replace("attribution_window_days = 28\nrefund_window_days = 14\n", "")
    programme = parse_programme(
        text.replace("exploration_floor = 0.01\n", "").replace('timezone = "Europe/Berlin"\n', "")
    )
    assert (programme.attribution_window_days, programme.refund_window_days) == (28, 14)
    assert (programme.exploration_floor, programme.timezone.key) == (0.002, "UTC")
    assert programme.shares == {
        Group.HOLDOUT: 0.05, Group.RANDOM: 0.05, Group.BUSINESS_AS_USUAL: 0.05, Group.POLICY: 0.85,
    }  # fmt: skip


def test_an_offer_is_valid_no_longer_than_it_is_watched() -> None:
    """A redemption after the attribution window would be neither rewarded nor counted in a budget."""
    shorter = parse_programme(PROGRAMME.replace("window_days = 28", "window_days = 7", 1))
    assert {offer.validity_days for offer in shorter.offers.values()} == {7}


def test_the_digest_changes_with_the_text() -> None:
    assert parse_programme(PROGRAMME).digest == parse_programme(PROGRAMME).digest
    assert parse_programme(PROGRAMME).digest != parse_programme(PROGRAMME + "\n").digest


def test_a_programme_that_cannot_be_read_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="init` to write one"):
        load_programme(tmp_path / "programme.toml")
    with pytest.raises(InvalidProgramme, match="can't be read"):
        load_programme(tmp_path)
    (tmp_path / "programme.toml").write_bytes(PROGRAMME.replace("Test", "Tést").encode("latin-1"))
    with pytest.raises(InvalidProgramme, match="UTF-8"):
        load_programme(tmp_path / "programme.toml")


def test_a_store_may_say_where_its_webhooks_come_from() -> None:
    programme = parse_programme(PROGRAMME.replace("[stores.online]", '[stores.online]\ndomain = "A.myshopify.com"'))
    assert programme.store_at("a.MyShopify.com") == "online"
    assert programme.store_at("b.myshopify.com") is programme.store_at("") is None


@pytest.mark.parametrize(
    ("domain", "sentence"),
    [
        ("1", "expected a text"),
        ('"https://a.example/"', "expected a domain such as my-shop.myshopify.com"),
        ('"B.example"', "expected each domain at one store, found 'b.example' again"),
    ],
)
def test_a_domain_that_names_no_store(domain: str, sentence: str) -> None:
    text = PROGRAMME.replace("[stores.online]", '[stores.first]\ndomain = "b.example"\n[stores.online]')
    (problem,) = mistakes(text.replace("[stores.online]", f"[stores.online]\ndomain = {domain}"))
    assert sentence in problem
    assert "stores.online.domain" in problem


def test_rules_where_their_package_is_not_installed_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel", None)
    text = f"{PROGRAMME}\n[eligibility]\nrules = ['order.total >= 5.0']\n"
    assert "pip install 'encore[rules]'" in " ".join(mistakes(text))
