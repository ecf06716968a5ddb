"""The sample: 10,000 real loans, invented people, and the mess of a real drop.

`python -m tabveil.sample_data` (or `make data`) composes `data/loans.csv`; the source, what is added and the
licences are in `docs/loans.md`. The same seed gives the same bytes on every machine with the locked packages.
"""
