"""What a run learns from: data sets, their checks, prepared cases, samples and targets."""
