"""The customer-analytics chapter: a module a topic, named as in `analysis.customers`."""
