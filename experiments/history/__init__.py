"""What customers did, as tables: order lines, contacts and visits, from a ledger or from a file of orders."""
