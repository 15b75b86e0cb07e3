"""The bench: how fast the proxy is, beside its peers, and whether its cost grows as it should.

`python -m harness.bench` is its command. Nothing else imports this package.
"""
