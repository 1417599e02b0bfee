"""Servers that only score: the bundle's uplift model behind MLflow, MLServer and BentoML."""
