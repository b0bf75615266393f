"""The Spark jobs: sources, transforms, quality checks and one entry point."""
