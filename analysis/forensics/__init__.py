"""Is a table recorded or made? Signs of either origin, each a test, and a verdict from all of them.

Who makes up a table draws its columns from simple distributions, one by one, and forgets what the
world does to real ones: values thin out towards their ends, things go together, people round, rates
change with time. Each module looks for one such trace, in counts and moments that the caller has
reduced where the table is. None of them knows a study.

* `uniformity`: are the values of a column evenly spread, and up to its very ends?
* `closeness`: is something nearer to its expectation than chance would bring it?
* `ties`: do columns go together that have to, and how many do?
* `pvalues`: many p-values at once: uniform, or too small or too large; so many of them shown.
* `edges`: does a rate stop at a point, or do values stop at a round one?
* `rates`: is a rate the same over ordered groups, and do its causes merely add up?
* `digits`: the grid that values lie on, heaping on round ones, first digits, identifiers.
* `arrivals`: is a process of events Poisson, and does it know the time of day?
* `shapes`: has a duration the shape of one simple distribution?
* `verdict`: the rule by which signs become a verdict.
* `measured`: how often that verdict was right on tables whose origin is known.

Two kinds of evidence must not be mixed up. That a deviation from evenness, independence or
constancy is *not shown* says little: a small table shows nothing. It speaks for a made table only
when the deviation is *shown to be smaller* than any that a recorded table would have, which is a
test of equivalence with a margin; most functions here give both p-values.
"""
