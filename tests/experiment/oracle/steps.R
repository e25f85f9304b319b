# Reference values for tests/experiment/test_experiment_steps.py and test_experiment_experience.py,
# from base R:
#   Rscript tests/experiment/oracle/steps.R tests/experiment/oracle/steps.json
# Customers and converts by cohort and number of completions; they are written beside the values.

json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}

# All b for which the difference of the means of y - b x is within 1.96 of its standard errors: the
# roots, found one by one on either side of the point where it is least certain.
anderson_rubin <- function(x, y, test) {
  excess <- function(b) {
    r <- y - b * x
    v <- function(z) mean((z - mean(z))^2) / (length(z) - 1)
    (mean(r[test]) - mean(r[!test]))^2 -
      qnorm(0.975)^2 * (v(r[test]) + v(r[!test]))
  }
  middle <- (mean(y[test]) - mean(y[!test])) / (mean(x[test]) - mean(x[!test]))
  c(uniroot(excess, c(middle - 5, middle), tol = 1e-13)$root,
    uniroot(excess, c(middle, middle + 5), tol = 1e-13)$root)
}

case <- function(n, won) {
  # Rows of n and won: Control, Test; columns: 0 to 3 completions.
  k <- 0:3
  total <- colSums(n)
  y <- colSums(won)
  linear <- glm(cbind(y, total - y) ~ k, family = binomial)
  free <- glm(cbind(y, total - y) ~ factor(k), family = binomial)
  null <- glm(cbind(y, total - y) ~ 1, family = binomial)
  one <- coef(summary(linear))[2, ]
  trend <- prop.trend.test(y, total, k)
  by_cohort <- function(i) coef(summary(glm(cbind(won[i, ], n[i, ] - won[i, ]) ~ k,
                                             family = binomial)))[2, 1]
  completions <- rep(rep(k, 2), c(t(n)))
  converted <- unlist(lapply(seq_along(c(t(n))), function(i)
    rep(c(1, 0), c(c(t(won))[i], c(t(n))[i] - c(t(won))[i]))))
  test <- rep(c(FALSE, TRUE), rowSums(n))
  line <- lm(converted ~ completions)
  list(customers = c(t(n)), converted = c(t(won)),
       trend = c(sqrt(trend$statistic), trend$p.value),
       logit = c(one[1:2], exp(one[1] + c(-1, 1) * qnorm(0.975) * one[2]),
                 pchisq(deviance(null) - deviance(linear), 1, lower.tail = FALSE)),
       curvature = c(deviance(linear) - deviance(free),
                     pchisq(deviance(linear) - deviance(free), 2, lower.tail = FALSE)),
       cohorts = exp(by_cohort(2) - by_cohort(1)),
       slope = coef(line)[2],
       rubin = anderson_rubin(completions, converted, test),
       finishing = c(chisq.test(rbind(c(y[4], sum(y[1:3])),
                                      c(total[4], sum(total[1:3])) - c(y[4], sum(y[1:3]))),
                                correct = FALSE)$p.value,
                     fisher.test(rbind(c(y[4], sum(y[1:3])),
                                       c(total[4], sum(total[1:3])) - c(y[4], sum(y[1:3])))
                                 )$conf.int))
}

mcnemar <- function(more, less, n) {
  both <- n - more - less
  mcnemar.test(matrix(c(both, less, more, 0), 2), correct = FALSE)$p.value
}

writeLines(json(list(
  rising = case(rbind(c(700, 380, 240, 700), c(250, 150, 110, 440)),
                rbind(c(30, 31, 40, 350), c(11, 13, 20, 225))),
  flat = case(rbind(c(300, 200, 100, 250), c(120, 90, 80, 200)),
              rbind(c(70, 52, 21, 60), c(30, 20, 22, 51))),
  falling = case(rbind(c(90, 80, 70, 60), c(40, 40, 50, 80)),
                 rbind(c(50, 35, 20, 12), c(22, 16, 14, 15))),
  paired = list(more = c(30, 115, 400), less = c(10, 101, 380),
                p = c(mcnemar(30, 10, 100), mcnemar(115, 101, 900), mcnemar(400, 380, 2000)))
)), commandArgs(TRUE)[1])
