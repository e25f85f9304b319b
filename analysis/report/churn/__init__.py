"""What the chapter on churn shows and says, a module a topic."""
