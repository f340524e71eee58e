"""The way to the evidence without settings."""
