"""Statistics that know no study: samples or moments in, small frozen results out.

Import the module by its concept, for example `from analysis.stats import two_sample`.

* `moments`, `descriptive`: what one sample looks like.
* `intervals`: how precisely its mean, median or proportion is known.
* `two_sample`, `effects`: tests of two samples, with the size of the effect beside each.
* `two_proportions`, `association`, `stratified`: tests of counts. `several_means`: of many groups.
* `regression`: logit, least squares, ratios of means. `discrimination`: areas under ROC curves.
* `survival`, `cox`, `time_series`, `control_charts`: what takes time, and what changes with it.
* `instrument`: what an encouragement drawn by lot says of what it encourages.
* `purchases`, `spending`: BG/NBD and Gamma-Gamma, by `likelihood`.
* `clusters`, `rules`: groups of users, and items that go together.
* `shrinkage`: many small groups at once.
* `bayes`, `sequential`: a test read with a prior, and before its end.
* `multiplicity`, `decision`: what a family of tests shows, as data.
* `power`: how large an experiment has to be.
* `resampling`: the bootstrap and permutation kernels.
"""
