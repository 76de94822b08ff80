"""Moving runs of definitions: their session, states, work items, reports and due times."""
