"""The report pages: read the marts into the Evidence site and publish it."""
