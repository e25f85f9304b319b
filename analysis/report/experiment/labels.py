"""What the chapter on the trialer test calls cohorts, stages, tasks, help, hours and faults.

Everything here is plain text for sentences, tables and figures; the names are the study's own, so
only those that come with a table's values (`channel`, `cohort`) go through `text.escape` where
they are printed.
"""

from __future__ import annotations

from analysis.experiment.reductions import CHANNELS, COHORTS, HELP, TASKS
from analysis.report.text import Prose, count, escape

CONTROL, TEST = COHORTS
CUSTOMER_SUCCESS = "Customer Success"
# The first sight of the two in a section; after it the short name will do.
CS_LONG = "Customer Success (CS)"
OTHER_LONG = "another way out (OTHER)"

COHORT_NAMES = {CONTROL: "Control", TEST: "Test"}
_CHANNELS = {
    "ARTICLE": "an article",
    "VIDEO": "a video",
    "CHATBOT": "the chatbot",
    "AGENT": "an agent",
    "OTHER": "OTHER",
}
_CHANNEL_HEADS = {
    "ARTICLE": "Article", "VIDEO": "Video", "CHATBOT": "Chatbot", "AGENT": "Agent",
    "OTHER": "OTHER",
}
_HELP = {
    "none": "never in trouble",
    "OTHER": "in trouble, OTHER only",
    "CS": "in trouble, CS at least once",
}
# Stages of `Reductions.flow`: as a noun phrase in tables, and as what customers did.
STAGES = {
    "assigned": "Assigned",
    "attempted": "Attempted",
    "trouble": "Hit trouble",
    "CS": "Asked CS",
    "OTHER": "Chose OTHER",
    "completed": "Completed",
    "converted": "Converted",
}
_DID = {
    "assigned": "were assigned",
    "attempted": "attempted",
    "trouble": "hit trouble in",
    "CS": "asked CS in",
    "OTHER": "chose OTHER in",
    "completed": "completed",
    "converted": "subscribed",
}
_PARTS_OF_DAY = ("night", "morning", "afternoon", "evening")
# Of `Reductions.faults`: with one case and with several.
FAULTS = {
    "task out of series": "task started before the one before it was complete",
    "completion without start": "completion of a task that was never started",
    "completion before start": "completion before the start",
    "help without start": "help in a task that was never started",
    "help before start": "help before the start",
    "help after completion": "help after the completion",
    "conversion without time": "conversion without a time",
    "conversion before first start": "conversion before the first start",
    "conversion before last completion": "conversion before the last completion",
}


def cohort(name: str) -> Prose:
    """A cohort as it stands in a sentence or a table: "Test"."""
    return escape(COHORT_NAMES.get(name, name))


def task(number: int) -> str:
    """A task within a sentence: "task 2"; 0 is any of the three."""
    return "any task" if number == 0 else f"task {number}"


def task_head(number: int) -> str:
    """A task in a table or figure: "Task 2"; 0 is any of the three."""
    name = task(number)
    return f"{name[:1].upper()}{name[1:]}"


def tasks(number: int) -> Prose:
    """So many of the tasks: "no task", "1 task", "all 3 tasks"."""
    if number == 0:
        return Prose("no task")
    return Prose(f"all {number} tasks" if number == len(TASKS) else count(number, "task"))


def channel(name: str) -> Prose:
    """A channel within a sentence: "an agent", "the chatbot"; other values as they are."""
    return Prose(_CHANNELS[name]) if name in CHANNELS else escape(name)


def channel_head(name: str) -> str:
    """A channel in a table or figure: "Agent"; plain text."""
    return _CHANNEL_HEADS.get(name, str(name))


def help_name(name: str) -> str:
    """How a customer was helped, of `HELP`: "in trouble, CS at least once"."""
    return _HELP[name] if name in HELP else str(name)


def stage(name: str, of_task: int = 0) -> str:
    """A stage of the flow in a table or figure: "Hit trouble in task 2", "Assigned"."""
    head = STAGES[name]
    if name in ("assigned", "converted"):
        return head
    if of_task == 0:
        return f"{head} a task" if name in ("attempted", "completed") else head
    joint = "" if name in ("attempted", "completed") else "in "
    return f"{head} {joint}task {of_task}"


def did(name: str, of_task: int = 0) -> str:
    """A stage as what customers did, in a sentence: "completed task 1", "subscribed"."""
    verb = _DID[name]
    return verb if name in ("assigned", "converted") else f"{verb} {task(of_task)}"


def part_of_day(number: int) -> str:
    """A part of the day, 0 to 3: "night", "morning", "afternoon", "evening"."""
    return _PARTS_OF_DAY[int(number)]


def hour(number: int) -> str:
    """An hour of the day: "9:00"."""
    return f"{int(number)}:00"


def fault(name: str) -> str:
    """A fault of the tables as it stands in a sentence."""
    return FAULTS.get(name, str(name))
