"""Statistics that know no study: samples or moments in, small frozen results out.

Import the module by its concept, for example `from analysis.stats import two_sample`.

* `moments`, `descriptive`: what one sample looks like.
* `intervals`: how precisely its mean, median or proportion is known.
* `two_sample`, `effects`: tests of two samples, with the size of the effect beside each.
* `association`: chi-squared tests of counts. `regression`: logit, least squares, ratios of means.
* `multiplicity`, `decision`: what a family of tests shows, as data.
* `power`: how large an experiment has to be.
* `resampling`: the bootstrap and permutation kernels.
"""
