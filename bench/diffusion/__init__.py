"""Schedules, losses, samplers, guidance."""
