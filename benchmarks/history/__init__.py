"""A history of millions of calls to measure against: made by SQL, built by dbt."""
