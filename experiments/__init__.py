"""Programs built on `lenet`: comparisons, reports and benchmarks."""
