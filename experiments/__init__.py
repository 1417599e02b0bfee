"""Encore's offline rooms: data sets, learners, evaluation, simulation, MLflow."""
