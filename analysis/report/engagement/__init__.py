"""What the engagement chapter shows: its figures, tables and sentences, and their shared names."""

from analysis.engagement import QUARTERS

BEFORE, AFTER = QUARTERS
PLAN_NAMES = {"paid": "Paid plan", "free": "Free plan"}
PLAN_CELLS = {"paid": "Paid", "free": "Free"}  # in tables, where the column says "Plan"
PLAN_STUDENTS = {"paid": "paying students", "free": "free-plan students"}
