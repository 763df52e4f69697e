"""The tables of the order example, a folder of migrations for each service."""
