"""Every published claim of the five sources, held against the tables.

* `claim`: what a claim is, the kinds of evidence, and the rules for verdicts.
* `compare`: from counts, moments and correlations to evidence.
* `engagement`, `customers`, `mooc`, `netflix`, `trialers`: the claims, each in one place: the
  source's words, what would have to be true, the test, and the sentence that tells the evidence.

`report.claims` prints them.
"""

from analysis.claims.claim import Audit, Source, audit
from analysis.claims.customers import CUSTOMERS
from analysis.claims.engagement import ENGAGEMENT
from analysis.claims.mooc import MOOC
from analysis.claims.netflix import NETFLIX
from analysis.claims.trialers import TRIALERS

SOURCES = (ENGAGEMENT, CUSTOMERS, MOOC, NETFLIX, TRIALERS)

__all__ = [
    "CUSTOMERS", "ENGAGEMENT", "MOOC", "NETFLIX", "SOURCES", "TRIALERS", "Audit", "Source", "audit",
]
