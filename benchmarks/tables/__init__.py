"""Tables with holes, outliers and densities: tightbound beside what users would take instead."""
