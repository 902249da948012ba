"""Several processes: ranks of a torchrun, per-image jobs."""
