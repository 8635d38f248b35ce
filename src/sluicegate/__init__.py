"""sluicegate: a fine-tuning experiment goes through one stage at a time, and only when the evidence says so."""

__version__ = "0.1.0"
