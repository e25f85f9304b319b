# Reference values for the model of churn, from the shipped table:
#   Rscript tests/churn/oracle/churn_model.R tests/churn/oracle/churn_model.json
# Base R; MASS, which comes with R, for the profile likelihood. Run in the project's folder.

table <- read.csv("data/netflix/subscribers.csv", stringsAsFactors = FALSE)
table$y <- as.integer(table$churned == "Yes")
first <- function(values, reference) relevel(factor(values), ref = reference)
last <- max(table$subscription_months[table$y == 1])
open <- table$subscription_months <= last
at_risk <- table[open, ]
commonest <- function(column) {
  counts <- table(at_risk[[column]])
  names(counts)[which.max(counts)]
}
coded <- function(frame) {
  for (column in c("genre", "region", "device", "plan")) {
    frame[[column]] <- factor(frame[[column]], levels = sort(unique(table[[column]])))
    frame[[column]] <- relevel(frame[[column]], ref = commonest(column))
  }
  frame$payment_history <- first(frame$payment_history, "On-Time")
  frame$promo_used <- first(frame$promo_used, "No")
  frame
}
table <- coded(table)
at_risk <- table[open, ]
units <- c(subscription_months = 12, age = 10, monthly_income = 1000, profiles = 1,
           daily_watch_hours = 1, satisfaction_score = 1, engagement_rate = 1,
           support_queries = 1)
categories <- c("genre", "region", "device", "plan", "payment_history", "promo_used")
means <- colMeans(at_risk[names(units)])
scaled <- function(frame) {
  for (column in names(units)) {
    frame[[column]] <- (frame[[column]] - means[[column]]) / units[[column]]
  }
  frame
}
raw <- table
table <- scaled(table)
at_risk <- scaled(at_risk)
traits <- c(categories, names(units))
formula <- reformulate(traits, "y")
control <- glm.control(epsilon = 1e-14, maxit = 100)
fit <- glm(formula, binomial, at_risk, control = control)
beta <- coef(fit)
V <- vcov(fit)
# The fit converges until the deviance stands still; one more Newton step for the variance.
X <- model.matrix(fit)
p <- plogis(drop(X %*% beta))
V <- solve(crossprod(X * (p * (1 - p)), X))
z <- qnorm(0.975)

average <- function(M, weights_total) {
  p <- plogis(drop(M %*% beta))
  list(risk = sum(p) / weights_total, slope = colSums(M * (p * (1 - p))) / weights_total)
}
matrix_of <- function(frame) model.matrix(delete.response(terms(fit)), frame, xlev = fit$xlevels)
difference <- function(a, b) {
  slope <- b$slope - a$slope
  c(a$risk, b$risk, b$risk - a$risk, sqrt(drop(slope %*% V %*% slope)))
}

# Average marginal effects among those at risk.
effects <- list()
for (column in categories) {
  levels_here <- fit$xlevels[[column]]
  for (level in levels_here[-1]) {
    low <- high <- at_risk
    low[[column]] <- factor(levels_here[1], levels = levels_here)
    high[[column]] <- factor(level, levels = levels_here)
    effects[[paste(column, level)]] <- difference(
      average(matrix_of(low), nrow(low)), average(matrix_of(high), nrow(high)))
  }
}
for (column in names(units)) {
  high <- at_risk
  high[[column]] <- high[[column]] + 1
  effects[[paste(column, "per unit")]] <- difference(
    average(matrix_of(at_risk), nrow(at_risk)), average(matrix_of(high), nrow(high)))
}

# Average risk of all subscribers, with a trait at one value and at another.
spread_at <- function(column, value) {
  moved <- table
  months <- raw$subscription_months
  if (column %in% names(units)) {
    moved[[column]] <- (value - means[[column]]) / units[[column]]
    if (column == "subscription_months") months <- rep(value, nrow(table))
  } else {
    moved[[column]] <- factor(value, levels = fit$xlevels[[column]])
  }
  there <- months <= last
  if (!any(there)) {
    return(list(risk = 0, slope = 0 * beta))
  }
  average(matrix_of(moved[there, ]), nrow(table))
}
spreads <- list()
for (column in traits) {
  if (column %in% names(units)) {
    values <- as.list(unname(quantile(raw[[column]], c(0.1, 0.9), type = 1)))
  } else {
    values <- as.list(fit$xlevels[[column]])
  }
  found <- lapply(values, function(v) spread_at(column, v))
  risks <- sapply(found, function(f) f$risk)
  ends <- if (length(values) == 2) c(1, 2) else c(which.min(risks), which.max(risks))
  spreads[[column]] <- c(difference(found[[ends[1]]], found[[ends[2]]]),
                         choose(length(values), 2))
}

ratio_of <- function(extra) {
  larger <- glm(update(formula, paste(". ~ . +", extra)), binomial, at_risk, control = control)
  deviance(fit) - deviance(larger)
}
squares <- sapply(names(units), function(column) ratio_of(paste0("I(", column, "^2)")))
products <- sapply(
  c("payment_history:promo_used", "payment_history:satisfaction_score",
    "promo_used:satisfaction_score"), ratio_of)
eta <- predict(fit)
link <- glm(at_risk$y ~ eta + I((eta - mean(eta))^2), family = binomial, control = control)

n <- nrow(table)
m <- sum(!open)
months <- raw$subscription_months
line <- (sort(unique(months)) - mean(sort(unique(months))))
curve <- glm(table$y ~ months + I((months - mean(line))^2), family = binomial, control = control)
beyond <- fitted(curve)[!open]

ratios <- drop1(fit, test = "LRT")
suppressMessages(profile <- confint(fit))
bare <- function(x) unname(c(x))
json <- function(x) {
  if (is.list(x)) {
    return(paste0("{", paste0('"', names(x), '": ', vapply(x, json, ""), collapse = ",\n"), "}"))
  }
  if (is.character(x)) {
    quoted <- paste0('"', x, '"')
    return(if (length(x) == 1) quoted else paste0("[", paste(quoted, collapse = ", "), "]"))
  }
  digits <- sprintf("%.17g", x)
  if (length(x) == 1) digits else paste0("[", paste(digits, collapse = ", "), "]")
}
values <- list(
  names = names(beta), params = bare(beta), errors = bare(sqrt(diag(V))),
  low = bare(beta - z * sqrt(diag(V))), high = bare(beta + z * sqrt(diag(V))),
  profile_low = bare(profile[, 1]), profile_high = bare(profile[, 2]),
  log_likelihood = as.numeric(logLik(fit)), traits = attr(terms(fit), "term.labels"),
  lr = bare(ratios$LRT[-1]), lr_p = bare(ratios$`Pr(>Chi)`[-1]),
  effects = effects, spreads = spreads,
  squares = as.list(squares), products = as.list(products),
  link_z = coef(summary(link))[3, 3],
  log_p_exact = dhyper(0, m, n - m, sum(table$y), log = TRUE),
  expected = sum(beyond), log_p_curve = sum(log1p(-beyond))
)
writeLines(json(values), commandArgs(trailingOnly = TRUE)[1])
