"""Study 5: does a help widget bring trialers to Customer Success, through the tasks, to subscribe?

The unit is a customer who joined on the day of the test, in the cohort Test (sees the widget when
the system notices trouble) or Control. `reductions` reduces the tables where they are; the other
modules, one a question, rest on its counts; `analyse` runs all of them once and the chapter reads
the result.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.experiment import decision, experience, helped, metrics, real, steps, trust
from analysis.experiment.decision import Decision
from analysis.experiment.experience import Experience
from analysis.experiment.helped import Helped
from analysis.experiment.metrics import Metrics
from analysis.experiment.real import Real
from analysis.experiment.reductions import Reductions, per_customer, reduce
from analysis.experiment.steps import Steps
from analysis.experiment.trust import Trust, Verdict
from analysis.kept import kept
from analysis.results import Scalar, flatten
from analysis.sources import Tables

# The columns that name the rows of the study's frames.
KEYS = {
    "flow": ("stage", "task", "cohort"),
    "paths": ("cohort", "attempted", "help", "completions", "converted"),
    "starts": ("date", "hour", "cohort"),
    "tasks": ("cohort", "task", "hour"),
    "help": ("cohort", "task", "channel", "first"),
    "decisions": ("cohort", "completions", "converted", "day"),
    "faults": ("fault",),
    "profile": ("table", "column"),
    "cleaning": ("table", "column", "rule"),
}


@dataclass(frozen=True)
class Study(Reductions):
    """The whole study; see the modules of this package for what each part holds.

    Attributes:
        origin: Where the tables are, for people.
        fallback: Whether they are the shipped ones because the place named has none.
        shipped: Whether they are the shipped ones.
        trust: Who is lost where, and whether the test can be trusted.
        helped: Customer Success against other help: as customers come, adjusted, and by the lot.
        steps: Tasks completed against conversion.
        experience: Success by hour and by task.
        metrics: The success metrics of the test.
        decision: What to do with the widget.
        real: Whether the tables look recorded or made.
    """

    origin: str
    fallback: bool
    shipped: bool
    trust: Trust
    helped: Helped
    steps: Steps
    experience: Experience
    metrics: Metrics
    decision: Decision
    real: Real


@kept
def analyse(tables: Tables) -> Study:
    """Runs the study.

    Raises:
        TooFewCustomers: A cohort is empty, or nobody started a task.
    """
    # Everything reads it many times: the backend keeps it for as long as that takes.
    with per_customer(tables).cache() as customers:
        base = reduce(tables, customers)
        checked = trust.trust(base, customers, tables)
        measured = metrics.metrics(base, customers)
        return Study(
            **vars(base),
            origin=tables.origin,
            fallback=tables.fallback,
            shipped=tables.shipped,
            trust=checked,
            helped=helped.helped(base),
            steps=steps.steps(base),
            experience=experience.experience(base, customers),
            metrics=measured,
            decision=decision.decision(measured, checked.trusted is not Verdict.REFUSED),
            real=real.real(base, customers, tables),
        )


def results(tables: Tables) -> dict[str, Scalar]:
    """Every number of the study by its dotted name, for `python -m analysis results`."""
    return flatten(analyse(tables), KEYS)
