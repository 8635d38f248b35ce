"""Stages 0-4: the plan as data, the criteria, the gate that decides, and the loop that runs one."""
