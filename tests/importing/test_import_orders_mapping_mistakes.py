import pytest

from experiments.importing.mapping import InvalidMapping, begin

MISTAKES = [
    ('name = "till"', "", "orders.name: expected a text, found nothing"),
    ('currency = "EUR"', 'currency = "USD"', "orders.currency: expected the programme's currency EUR, found 'USD'"),
    ('currency = "EUR"', "", "orders.currency: expected a text, found nothing"),
    ('timezone = "Europe/Berlin"', 'timezone = "Berlin"', "orders.timezone: expected a time zone"),
    ('["A"]', '"A"', "orders.adjustment_prefixes: expected a list of texts"),
    ('"gift_.*"', '"gift_(*"', "orders.exclude_products: expected a regular expression, found 'gift_\\("),
    ('name = "till"', 'name = "till"\nduplicate_lines = "drop"', "duplicate_lines: expected one of keep, reject"),
    ('product = "code"', 'product = "sku"', "line 11, columns.product: unknown column 'sku'"),
    ('time = "at"', "", "columns.time: expected a text, found nothing"),
    ('time = "at"', 'time = "at"\ncolour = "code"', "columns.colour: unknown key 'colour'"),
    ('time = "at"', 'time = "at"\ncurrency = "code"', "orders.currency: expected a currency here or a column"),
    ('return_prefix = "C"', "", "returns: expected one of `return_prefix`, `column`"),
    ('return_prefix = "C"', 'return_prefix = "C"\nnegative_quantity = true', "returns: expected one of"),
    ('return_prefix = "C"', 'column = "code"', "returns.value: expected a text, found nothing"),
    ('return_prefix = "C"', 'column = "kind"\nvalue = "R"', "returns.column: unknown column 'kind'"),
    ('return_prefix = "C"', 'negative_quantity = true\nquantity = "positive"', "returns.quantity: expected negative"),
    ('return_prefix = "C"', 'return_prefix = "C"\nquantity = "odd"', "quantity: expected one of negative, positive"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_in_the_mapping_of_orders_is_named_with_its_place(shop, orders_mapping, right, wrong, message):
    assert right in orders_mapping
    with pytest.raises(InvalidMapping, match=message):
        shop.orders(mapping=orders_mapping.replace(right, wrong, 1))


def test_another_delimiter_is_guessed_at_and_named_once(tmp_path):
    (tmp_path / "orders.csv").write_text("order;customer;day\n1;ada;2026-01-01\n")
    (tmp_path / "mapping.toml").write_text("[orders]\n")
    with pytest.raises(InvalidMapping, match=r"file.delimiter: expected the one .* looks like ';'") as refused:
        begin(tmp_path / "mapping.toml", tmp_path / "orders.csv")
    assert len(refused.value.problems) == 1
