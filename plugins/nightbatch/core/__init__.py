"""Decide: pure values and functions over them. No clock, network, logger, Airflow or SDK is imported here."""
