"""Our own worlds, invented and not measured. Each is a file that the benchmarks open by its path."""
