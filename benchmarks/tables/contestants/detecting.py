"""PyOD's detectors on standardised columns, as in its own benchmark."""

from typing import Any

from sklearn.preprocessing import StandardScaler

from benchmarks.tables.questions.anomalies import Rows, Scored


def detected(detector: Any, rows: Rows) -> Scored:
    """Fits without labels, and scores the test rows."""
    scaler = StandardScaler().fit(rows.train)
    detector.fit(scaler.transform(rows.train))
    return Scored(detector.decision_function(scaler.transform(rows.test)))
