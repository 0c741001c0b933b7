"""Programs built on `lenet`: comparisons of many runs, reports, benchmarks, and an introduction."""
