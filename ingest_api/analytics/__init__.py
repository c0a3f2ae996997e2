"""Questions to the marts: parameters become SQL (pure), SQL is run, rows are written.

periods -> sources -> dimensions, measures -> statements -> answers -> writing
"""
