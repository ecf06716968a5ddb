"""A file of unknown make becomes typed rows: readable at all, dialect, encoding, names, cells as text; and the draft
of a new dataset's configuration.
"""
