"""From a price catalog to dated price rows for the models that were really called."""
