"""The `assay` command and what it is made of: package, deploy, run, explain, redrive."""
