"""Programs that answer a question: python -m Training.studies.NAME."""
