"""Who answers in the place of a model.

`builtin` has the responders by name. `instance` makes what a schema asks for, by way of `combined` (schemas made of
others), `bounds`, `formats` and `pattern`; `tickets` triages a ticket; `words` chooses words of the prompt.
"""
