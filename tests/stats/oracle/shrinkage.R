# Reference values of tests/stats/test_shrinkage.py. Needs VGAM and metafor (Debian: r-cran-vgam,
# r-cran-metafor).  Rscript shrinkage.R shrinkage.json
suppressMessages({library(VGAM); library(metafor); library(jsonlite)})

trials <- c(9, 14, 21, 40, 48, 57, 83, 92, 112, 137, 165, 206, 250, 381, 617, 1072, 3538)
successes <- c(4, 4, 8, 15, 16, 21, 40, 51, 39, 54, 60, 105, 72, 162, 237, 483, 1493)
fit <- vglm(cbind(successes, trials - successes) ~ 1, betabinomial,
            control = vglm.control(epsilon = 1e-10, maxit = 500))
beta <- list(successes = successes, trials = trials, mean = Coef(fit)[["mu"]],
             rho = Coef(fit)[["rho"]], log_likelihood = as.numeric(logLik(fit)))

y <- c(0.12, -0.31, 0.45, 1.02, -0.55, 0.73, 0.08, -0.9, 0.61, 0.33, -0.12, 0.95, -1.4, 0.2, 0.5)
v <- c(0.02, 0.05, 0.01, 0.08, 0.03, 0.04, 0.02, 0.06, 0.01, 0.05, 0.09, 0.02, 0.07, 0.03, 0.04)
x <- c(-1.2, 0.4, -0.5, -1.8, 1.1, -0.9, 0.2, 1.5, -0.7, 0.1, 0.6, -1.1, 1.9, 0.3, -0.4)
g <- rep(c("a", "b", "c", "d"), c(5, 4, 4, 2))
id <- seq_along(y)
control <- list(optimizer = "nlminb", rel.tol = 1e-12)
m <- rma.mv(y, v, mods = ~x, random = list(~1 | g, ~1 | id), method = "REML", control = control)
flat <- rma(y, v, mods = ~x, method = "REML", control = list(threshold = 1e-14, maxiter = 1000))
only <- rma(y, v, method = "REML", control = list(threshold = 1e-14, maxiter = 1000))
mixed <- list(y = y, v = v, x = x, g = g,
  between = sqrt(m$sigma2[2]), between_groups = sqrt(m$sigma2[1]),
  coefficients = as.numeric(m$beta), standard_errors = m$se,
  flat = list(between = sqrt(flat$tau2), coefficients = as.numeric(flat$beta),
              standard_errors = flat$se,
              # What each is expected to be, and its distance, from all others at the same variance.
              deviation = sapply(id, function(i) {
                w <- rma(y[-i], v[-i], mods = ~x[-i], tau2 = flat$tau2)
                y[i] - predict(w, newmods = x[i])$pred
              })),
  only = list(spread = sqrt(only$tau2), mean = as.numeric(only$beta), se = only$se, q = only$QE,
              p = only$QEp))
writeLines(toJSON(list(r = R.version.string, vgam = as.character(packageVersion("VGAM")),
                metafor = as.character(packageVersion("metafor")), beta_binomial = beta,
                mixed = mixed), digits = 15, auto_unbox = TRUE, pretty = TRUE), commandArgs(TRUE)[1])
