"""Plain requests, answered in a third of the time: those that differ from the one before in nothing but a user's text.

Most requests of a batch are plain. All others, and every doubt, go the general way (`answers/`), with the same results.
"""
