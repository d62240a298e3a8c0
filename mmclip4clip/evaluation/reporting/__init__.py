"""Reports of metrics: tables in the log, pictures and pages in the work dir."""
