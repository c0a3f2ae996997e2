"""Pure: what providers answer -> fields of an event. Knows no client library.

`sdk/contract/cases` holds what each must yield, for every SDK.
"""
