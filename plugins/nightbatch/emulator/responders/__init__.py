"""Who answers in the place of a model."""
