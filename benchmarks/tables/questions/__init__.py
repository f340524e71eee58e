"""The questions, by name."""

from benchmarks.tables.question import Question
from benchmarks.tables.questions.anomalies import ANOMALIES
from benchmarks.tables.questions.density import DENSITY
from benchmarks.tables.questions.imputation import IMPUTATION
from benchmarks.tables.questions.large import LARGE
from benchmarks.tables.questions.mixed import MIXED

QUESTIONS: dict[str, Question] = {
    question.name: question for question in (IMPUTATION, MIXED, ANOMALIES, DENSITY, LARGE)
}
