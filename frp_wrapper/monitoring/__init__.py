"""Structured logs, events, metrics and their parser."""
