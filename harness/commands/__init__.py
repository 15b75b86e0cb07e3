"""The commands of `conformance`, one file each: `add` declares its arguments, the rest is the work.

What is slow to import is imported where it is used: `--help` is for people who wait for it.
"""
