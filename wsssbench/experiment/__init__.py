"""An experiment: config, graph of stages, plan, cache, run."""
