"""Alert rules: what they say, how their figures are read and judged, and what an alert becomes.

Pure but for `reading.py`, so that the API's dry run, its backtest and the evaluation of the
platform judge by the same code.
"""
