"""Everybody's predictions, measured from order lines in Parquet to predictions in Parquet."""
