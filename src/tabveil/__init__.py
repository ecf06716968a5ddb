"""TabVeil: keeps the table, veils the people."""

__version__ = "0.1.0"
