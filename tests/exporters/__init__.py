"""Current instrumentations in processes of their own, sending to a running platform.

scenario     the calls, run there
provider     a server that speaks OpenAI's and Anthropic's API and remembers its answers
processes    runs the scenario under each instrumentation
judgement    the ledger's rows against the answers
"""
