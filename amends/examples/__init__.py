"""The scenarios, runnable from an installed wheel."""
