"""Evidence without settings: proposals are found, scored, and annealed from where need be."""
