# Reference values for tests/forensics, base R only. Run as Rscript --vanilla forensics.R > forensics.json
show <- function(x) format(x, digits = 17, scientific = TRUE, trim = TRUE)
entry <- function(name, values) sprintf('  "%s": [%s]', name, paste(show(values), collapse = ", "))

counts <- c(733, 704, 697, 685, 681)
fit <- chisq.test(counts)
w <- 0.1
even <- c(fit$statistic, fit$p.value, pchisq(fit$statistic, 4),
          pchisq(fit$statistic, 4, ncp = sum(counts) * w^2))

left <- c(20, 15, 12, 9, 4)
there <- c(80, 75, 90, 85, 60)
place <- c(1, 2, 3, 5, 8)
trend <- prop.trend.test(left, there, place)
same <- suppressWarnings(prop.test(left, there))

kept <- warpbreaks
groups <- kept$tension
anova <- summary(aov(breaks ~ tension, kept))[[1]]

device <- c(0, 0, 0, 0, 1, 1, 1, 1)
plan <- c("a", "a", "b", "b", "a", "a", "b", "b")
offer <- c(0, 1, 0, 1, 0, 1, 0, 1)
x <- c(12, 20, 9, 31, 14, 22, 18, 40)
n <- c(60, 70, 55, 90, 50, 65, 60, 85)
model <- glm(cbind(x, n - x) ~ factor(device) + plan + factor(offer), binomial)
pearson <- sum(residuals(model, "pearson")^2)

times <- cumsum(c(0.31, 0.02, 1.7, 0.44, 0.9, 0.08, 0.13, 2.2, 0.6, 0.05, 0.77, 1.3))
ks <- ks.test(times / 10, "punif")

per_hour <- c(3, 5, 1, 0, 4, 7, 2, 2, 6, 3)
index <- sum((per_hour - mean(per_hour))^2) / mean(per_hour)

all_within <- exp(lchoose(352, 98) - lchoose(352 + 346, 98))

cat("{\n", paste(c(
  entry("evenness", even),
  entry("trend", c(trend$statistic, trend$p.value)),
  entry("homogeneity", c(same$statistic, same$p.value)),
  entry("anova", c(anova$`F value`[1], anova$`Pr(>F)`[1])),
  entry("additivity", c(pearson, pchisq(pearson, model$df.residual, lower.tail = FALSE))),
  entry("ks", c(ks$statistic, ks$p.value)),
  entry("dispersion", c(index, pchisq(index, 9, lower.tail = FALSE), pchisq(index, 9))),
  entry("all_within", all_within),
  entry("heaping", c(pbinom(260, 1000, 0.2, lower.tail = FALSE), pbinom(261, 1000, 0.25))),
  entry("fisher", pchisq(-2 * sum(log(c(0.01, 0.2, 0.5, 0.03, 0.9))), 10, lower.tail = FALSE))
), collapse = ",\n"), "\n}\n", sep = "")
