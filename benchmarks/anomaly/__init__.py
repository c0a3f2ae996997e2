"""Anomaly detection against labelled series."""
