"""Airflow sensors that wait in the triggerer."""
