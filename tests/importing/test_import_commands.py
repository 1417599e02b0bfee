import pytest


def test_a_trial_is_imported_with_its_counts_and_again_without_change(shop, encore, trial_mapping, fair):
    rows = shop.file("who,arm,years,tier,visit,bought,spend,used", *fair(3), "x,four,1,gold,0,0,0,0")
    mapping = shop.mapping(trial_mapping)
    result = encore("import", "trial", rows, "--mapping", mapping)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "none -> control: 3 rows, 3.0 expected",
        "thanks -> thank_you@email: 3 rows, 3.0 expected",
        "ten -> discount_10@email: 3 rows, 3.0 expected",
        "sample ratio: p = 1 (as designed)",
        "          10  rows in the file",
        "           9  used",
        "           1  rejected: unknown arm in 'arm'",
        f"The rejected ones are in {shop.root / 'rejects' / 'trial-spring.csv'}.",
        "decisions: 9 new, 0 already there",
    ]
    again = encore("import", "trial", rows, "--mapping", mapping)
    assert again.stdout.splitlines()[-1] == "decisions: 0 new, 9 already there"


def test_a_mismatch_ends_with_exit_code_2_and_goes_on_with_a_reason(shop, encore, trial_mapping, fair):
    rows = [row for row in fair(40) if not row.startswith("ten")]
    words = ["import", "trial", shop.file("who,arm,years,tier,visit,bought,spend,used", *rows)]
    words += ["--mapping", shop.mapping(trial_mapping)]
    refused = encore(*words)
    assert refused.exit_code == 2
    assert "found a sample-ratio mismatch (chi-square p = " in refused.stderr
    assert "ten expected 26.7, found 0" in refused.stderr
    accepted = encore(*words, "--accept-srm", "arm ten was never sent")
    assert accepted.exit_code == 0
    assert "MISMATCH, accepted: arm ten was never sent" in accepted.stdout


def test_orders_are_imported_with_a_table_that_adds_up(shop, encore, orders_mapping):
    rows = shop.file(
        "invoice,who,code,n,price,at",
        "1,ann,tea,2,3.10,2026-03-01",
        "C2,ann,tea,-1,3.10,2026-03-05",
        "3,,tea,1,1,2026-03-01",
        "3,,tea,1,1,2026-03-01",
        "4,ann,POST,1,1,2026-03-01",
    )
    result = encore("import", "orders", rows, "--mapping", shop.mapping(orders_mapping))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "           5  lines in the file",
        "           2  used",
        "           2  rejected: no customer id",
        "           1  rejected: not a product (postage, fees, vouchers, corrections)",
        f"The rejected ones are in {shop.root / 'rejects' / 'orders-till.csv'}.",
        "orders: 1, of them 1 new",
        "returns: 1, of them 1 new",
        "customers: 1",
        "orders from 2026-03-01 to 2026-03-01, half of them of 6.20 EUR or more",
    ]


@pytest.mark.parametrize("command", ["trial", "orders"])
def test_mistakes_in_a_mapping_are_listed_one_a_line(shop, encore, command):
    result = encore("import", command, shop.file("a", "1"), "--mapping", shop.mapping("[extra]"))
    assert result.exit_code == 2
    assert "mistakes:\n  " in result.stderr
    assert "\n  line 1, extra: unknown key 'extra'" in result.stderr
