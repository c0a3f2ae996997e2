"""OpenTelemetry spans of every GenAI dialect -> events. Pure: no I/O.

decoding   a request body, protobuf or JSON -> spans; one that cannot be read costs no other
dialects   which span is a model call, and which only repeats or surrounds one
usage      token counts, made inclusive
providers  what dialects call a provider -> its OpenTelemetry name
duplicates calls that several layers tell of -> one of them
mapping    a span that is a call -> an event
answers    what an exporter gets back
"""
