"""Labels by example: structures that were painted on a scan, as prompts of a model."""
