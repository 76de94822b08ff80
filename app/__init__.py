"""Milepost: tracks workflow runs and hands out their tasks over plain HTTP."""
