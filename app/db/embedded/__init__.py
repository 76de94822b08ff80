"""A real Postgres that starts with its first user and stops with its last, for machines that have no database."""

from app.db.embedded.binaries import Binaries, find_binaries
from app.db.embedded.cluster import Cluster, default_data_dir, start_embedded
from app.db.embedded.errors import EmbeddedPostgresError

__all__ = ["Binaries", "Cluster", "EmbeddedPostgresError", "default_data_dir", "find_binaries", "start_embedded"]
