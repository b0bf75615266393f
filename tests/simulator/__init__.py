"""The failure model, played on one machine from a seed: real workflows, real handlers, a model of Spark."""
