"""What the tests of buying once share: how a case is judged, and the table of cases."""

from tests.support.crashes.case_table import judged, table  # noqa: F401 - fixtures
