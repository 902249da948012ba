"""Training of networks by the mmengine Runner: sampling, schedules, checkpoints, resume."""
