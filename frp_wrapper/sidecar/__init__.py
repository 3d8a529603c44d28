"""The process beside the host: it owns frpc, drains its output, and ends with its parent.

Standard library only: it starts in tens of milliseconds and stays small.
"""
