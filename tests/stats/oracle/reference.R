# Reference values for tests/stats, from base R alone:
#   Rscript tests/stats/oracle/reference.R tests/stats/oracle/reference.json
# The samples are written beside the values, so that both sides use the same digits.
# Where R has no function for a value, it is computed here from its definition over all pairs.

samples <- local({
  set.seed(20221, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  before <- round(rexp(70, 1 / 50), 1)
  list(
    skewed_a = rlnorm(60, 3, 1.2),           # no ties, more than 50 values
    skewed_b = rlnorm(45, 3.4, 0.9),
    tied_a = rpois(80, 3) + 0,               # many ties, zeros
    tied_b = rpois(64, 4) + 0,
    small_a = rnorm(9, 10, 2),               # no ties, exact tests
    small_b = rnorm(12, 11.5, 3),
    pair_a = sleep$extra[1:10],     # Student's (1908) own pairs
    pair_b = sleep$extra[11:20],
    before = before,                         # pairs with ties and equal values
    after = ifelse(seq_along(before) %% 7 == 0, before, round(before * 1.2 - 5, 1)),
    smooth_a = rnorm(30, 5, 2),              # pairs without ties, exact test
    smooth_b = rnorm(30, 4, 2)
  )
})

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  if (is.character(x)) return(paste0('"', x, '"'))
  digits <- sprintf("%.17g", x)
  digits <- sub("^Inf$", "Infinity", sub("^-Inf$", "-Infinity", digits))
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

sides <- c("two.sided", "less", "greater")
each_side <- function(f) setNames(lapply(sides, f), c("two-sided", "less", "greater"))
htest <- function(t) {
  list(statistic = unname(t$statistic), p = t$p.value, interval = c(t$conf.int),
       df = unname(t$parameter))
}

describe <- function(x) {
  n <- length(x)
  m <- function(k) mean((x - mean(x))^k)
  g1 <- m(3) / m(2)^1.5
  g2 <- m(4) / m(2)^2 - 3
  list(
    n = n, mean = mean(x), median = median(x), sd = sd(x),
    skewness = g1 * sqrt(n * (n - 1)) / (n - 2),
    excess_kurtosis = ((n + 1) * g2 + 6) * (n - 1) / ((n - 2) * (n - 3)),
    quantiles = unname(quantile(x, c(0, .01, .05, .1, .25, .75, .9, .95, .99, 1))),
    trimmed_mean_05 = mean(x, trim = 0.05), trimmed_mean_20 = mean(x, trim = 0.2),
    total = sum(x),
    gini = if (min(x) >= 0) sum(abs(outer(x, x, "-"))) / (2 * n^2 * mean(x)) else -1
  )
}

mean_tests <- function(a, b) {
  pooled <- sqrt(((length(a) - 1) * var(a) + (length(b) - 1) * var(b)) /
                   (length(a) + length(b) - 2))
  d <- (mean(a) - mean(b)) / pooled
  # Exact interval of d for normal values with equal variances (Steiger & Fouladi 1997).
  t <- unname(t.test(a, b, var.equal = TRUE)$statistic)
  df <- length(a) + length(b) - 2
  scale <- sqrt(1 / length(a) + 1 / length(b))
  limit <- function(p) uniroot(function(nc) pt(t, df, nc) - p, c(-6, 6), tol = 1e-12)$root * scale
  welch <- t.test(a, b)
  list(
    student = each_side(function(s) htest(t.test(a, b, alternative = s, var.equal = TRUE))),
    welch = each_side(function(s) htest(t.test(a, b, alternative = s))),
    welch_90 = c(t.test(a, b, conf.level = 0.9)$conf.int),
    variances = each_side(function(s) htest(var.test(a, b, alternative = s))),
    critical_f = c(qf(0.025, length(a) - 1, length(b) - 1), qf(0.975, length(a) - 1, length(b) - 1)),
    critical_t = qt(c(0.975, 0.05, 0.95), unname(welch$parameter)),
    brown_forsythe = local({
      y <- c(abs(a - median(a)), abs(b - median(b)))
      g <- factor(rep(1:2, c(length(a), length(b))))
      table <- anova(lm(y ~ g))
      c(table[1, "F value"], table[1, "Pr(>F)"])
    }),
    d = d, d_exact = c(limit(0.975), limit(0.025)),
    tost = c(above_low = t.test(a, b, mu = -5, alternative = "greater")$p.value,
             below_high = t.test(a, b, mu = 25, alternative = "less")$p.value)
  )
}

rank_tests <- function(a, b) {
  wins <- (outer(a, b, ">") + outer(a, b, "==") / 2)
  tests <- each_side(function(s) {
    htest(suppressWarnings(wilcox.test(a, b, alternative = s)))[c("statistic", "p")]
  })
  shift <- suppressWarnings(wilcox.test(a, b, conf.int = TRUE))
  list(
    tests = tests,
    superiority = mean(wins),
    error = sqrt(var(rowMeans(wins)) / length(a) + var(colMeans(wins)) / length(b)),
    shift = median(outer(a, b, "-")),
    shift_interval = c(shift$conf.int)
  )
}

pair_tests <- function(a, b) {
  d <- a - b
  walsh <- outer(d[d != 0], d[d != 0], "+") / 2
  signed <- suppressWarnings(wilcox.test(a, b, paired = TRUE, conf.int = TRUE))
  list(
    t = each_side(function(s) htest(t.test(a, b, paired = TRUE, alternative = s))),
    wilcoxon = each_side(function(s) {
      htest(suppressWarnings(wilcox.test(a, b, paired = TRUE, alternative = s)))[c("statistic", "p")]
    }),
    pseudomedian = median(walsh[upper.tri(walsh, diag = TRUE)]),
    pseudomedian_interval = c(signed$conf.int),
    sign = each_side(function(s) htest(binom.test(sum(d > 0), sum(d != 0), alternative = s)))
  )
}

trimmed <- function(x, cut) {  # Yuen (1974) from its definition
  n <- length(x)
  g <- floor(cut * n)
  s <- sort(x)
  w <- c(rep(s[g + 1], g), s[(g + 1):(n - g)], rep(s[n - g], g))
  mean(x, trim = cut) + c(-1, 1) * qt(0.975, n - 2 * g - 1) * sd(w) / ((1 - 2 * cut) * sqrt(n))
}

power_two_means <- function(n_a, n_b, d, alpha, tails) {
  df <- n_a + n_b - 2
  nc <- d * sqrt(n_a * n_b / (n_a + n_b))
  upper <- pt(qt(alpha / tails, df, lower.tail = FALSE), df, nc, lower.tail = FALSE)
  if (tails == 2) upper + pt(qt(alpha / 2, df), df, nc) else upper
}

s <- samples
p_values <- c(0.001, 0.04, 0.03, 0.2, 0.012, 0.9, 0.012)
out <- list(
  samples = samples,
  describe = lapply(s, describe),
  mean_tests = list(skewed = mean_tests(s$skewed_a, s$skewed_b), tied = mean_tests(s$tied_a, s$tied_b),
                    small = mean_tests(s$small_a, s$small_b)),
  rank_tests = list(skewed = rank_tests(s$skewed_a, s$skewed_b), tied = rank_tests(s$tied_a, s$tied_b),
                    small = rank_tests(s$small_a, s$small_b)),
  pair_tests = list(pair = pair_tests(s$pair_a, s$pair_b), before = pair_tests(s$before, s$after),
                    smooth = pair_tests(s$smooth_a, s$smooth_b)),
  mean_t = lapply(s, function(x) c(t.test(x)$conf.int)),
  trimmed = lapply(s, trimmed, cut = 0.2),
  wilson = c(prop.test(7, 45, correct = FALSE)$conf.int),
  wilson_none = c(prop.test(0, 20, correct = FALSE)$conf.int),
  clopper = c(binom.test(7, 45)$conf.int),
  clopper_none = c(binom.test(0, 20)$conf.int),
  median_ranks = local({  # the widest pair of ranks whose tail is at most 2.5%
    n <- c(5, 6, 9, 20, 60, 101, 1000)
    list(n = n, rank = sapply(n, function(k) max(c(0, which(pbinom(seq_len(k) - 1, k, 0.5) <= 0.025)))))
  }),
  p_values = p_values,
  holm = p.adjust(p_values, "holm"),
  benjamini_hochberg = p.adjust(p_values, "BH"),
  power = list(
    n_means = power.t.test(delta = 3.5, sd = 25, power = 0.8, strict = TRUE)$n,
    n_means_one = power.t.test(delta = 3.5, sd = 25, power = 0.8, alternative = "one.sided")$n,
    difference_means = power.t.test(n = 500, sd = 25, power = 0.9, strict = TRUE, tol = 1e-12)$delta,
    power_means = power.t.test(n = 40, delta = 10, sd = 25, strict = TRUE)$power,
    power_unequal = power_two_means(100, 400, 0.3, 0.05, 2),
    power_unequal_one = power_two_means(100, 400, 0.3, 0.01, 1),
    n_shares = power.prop.test(p1 = 0.1, p2 = 0.12, power = 0.8, strict = TRUE)$n,
    n_shares_one = power.prop.test(p1 = 0.1, p2 = 0.12, power = 0.8, alternative = "one.sided")$n,
    share_b = power.prop.test(p1 = 0.1, n = 2000, power = 0.8, strict = TRUE, tol = 1e-12)$p2,
    power_shares = power.prop.test(n = 1000, p1 = 0.1, p2 = 0.12, strict = TRUE)$power
  ),
  michelson = local({  # NIST StRD "Michelso" is R's morley in units of 1000 km/s
    list(values = 299 + morley$Speed / 1000)
  })
)
writeLines(json(out), commandArgs(trailingOnly = TRUE)[1])
