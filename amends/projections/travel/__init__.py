"""Time travel: the state of a saga at any version or instant, what changed between two, and replay event by event.

All of it is a fold over the recorded events; no definition's code is needed.
"""
