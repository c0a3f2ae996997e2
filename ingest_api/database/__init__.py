"""The schemas `app`, `raw` and `pricing`: their migrations, keys and dead letters."""
