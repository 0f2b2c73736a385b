"""All that knows Airflow: operators, sensors and triggers, and what becomes of connections, parameters and events."""
