"""What ingestion costs, measured against the bare means that it is built on."""
