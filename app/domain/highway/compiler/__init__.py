"""From a document to its plan: steps taken apart, linked and ordered, and what is wrong with their structure."""
