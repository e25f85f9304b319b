"""The MOOC chapter: a module a topic, named as in `analysis.mooc`."""
