"""A Linux for one static program on each of our processors: tests of processors written by others run as they are."""
