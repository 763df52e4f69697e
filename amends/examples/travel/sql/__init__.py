"""The tables of the vendors of the travel example; each makes the same in a database of its own."""
