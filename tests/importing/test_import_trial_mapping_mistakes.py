import pytest

from experiments.importing.mapping import InvalidMapping

MISTAKES = [
    ('customer_id = "who"', 'customer_id = "hwo"', "line 6, trial.customer_id: unknown column 'hwo'; did you mean"),
    ('name = "spring"', 'name = "the spring trial"', "trial.name: expected up to 40 letters, digits and _ . -"),
    ("decided_at = 2026-03-01", "", "trial.decided_at: expected a date such as 2026-03-01, or a column"),
    ("decided_at = 2026-03-01", 'decided_at = "when"', "trial.decided_at: unknown column 'when'"),
    ("decided_at = 2026-03-01", "decided_at = 7", "trial.decided_at: expected a text, found 7"),
    ("decided_at = 2026-03-01", "decided_at = 0001-01-01", "trial.decided_at: expected a date after 1970"),
    ('trigger = "purchase"', 'trigger = "birthday"', "trial.trigger: expected one of purchase, return"),
    ('store = "online"', 'store = "paris"', "trial.store: unknown store 'paris'"),
    ('store = "online"', 'store = "online"\nstore_column = "tier"', "expected a `store` or a `store_column`"),
    ('store = "online"', 'timezone = "Mars"', "trial.timezone: expected a time zone such as Europe/London"),
    ('store = "online"', 'shop = "online"', "trial.shop: unknown key 'shop'"),
    ('column = "arm"', "", "arms.column: expected a text, found nothing"),
    ('ten = "discount_10@email"', 'ten = "discount_10@mail"', "arms.ten: unknown action 'discount_10@mail'; did you"),
    ('ten = "discount_10@email"', "ten = 10", "arms.ten: expected a text, found 10"),
    ('none = "control"', "", 'arms: expected an arm that is "control"'),
    ('age = "years"', 'ages = "years"', "features.ages: unknown feature 'ages'; did you mean 'age'\\?; declare it"),
    ('revenue = "spend"', "", "outcomes.revenue: expected a text, found nothing"),
    ('revenue = "spend"', 'revenue = "spent"', "outcomes.revenue: unknown column 'spent'; did you mean 'spend'\\?"),
    ('redeemed = "used"', 'coupon = "used"', "outcomes.coupon: unknown key 'coupon'"),
    ("[features]", "[design]\nnone = 0.5\n[features]", "design.thanks: expected a number from 0 to 1, found nothing"),
    ("[features]", "[design]\nnone=0.5\nthanks=0.5\nten=0.5\n[features]", "found a sum of 1.5; leave \\[design\\] out"),
    ("[features]", "[design]\nnone=0.5\nthanks=0.5\nten=0\n[features]", "expected probabilities above 0"),
    ("[features]", "[design]\nother=0.5\n[features]", "design.other: unknown arm 'other'"),
    ("[trial]", '[file]\nencoding = "klingon"\n[trial]', "file.encoding: expected an encoding"),
    ("[trial]", '[file]\ndelimiter = "||"\n[trial]', "file.delimiter: expected one character"),
    ("[trial]", "[trial", "not valid TOML"),
    ("[trial]", "[extra]\n[trial]", "extra: unknown key 'extra'"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_in_the_mapping_of_a_trial_is_named_with_its_place(shop, trial_mapping, right, wrong, message):
    assert right in trial_mapping
    with pytest.raises(InvalidMapping, match=message):
        shop.trial(mapping=trial_mapping.replace(right, wrong, 1))
    assert shop.ledger.counts()["decisions"] == 0


def test_all_mistakes_are_found_in_one_reading(shop):
    with pytest.raises(InvalidMapping) as caught:
        shop.trial(mapping='[arms]\ncolumn = "nothing"\n')
    places = [problem.split(":")[0].split(", ")[-1] for problem in caught.value.problems]
    assert {"trial.name", "trial.decided_at", "arms.column", "arms", "outcomes.repurchased"} <= set(places)
    assert str(caught.value).count("\n") == len(places)
