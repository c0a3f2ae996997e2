"""The schemas `app`, `raw` and `pricing`: their migrations and nothing else."""
