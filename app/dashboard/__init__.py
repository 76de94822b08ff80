"""Serves the page of the service, as it was built from `web/`."""
