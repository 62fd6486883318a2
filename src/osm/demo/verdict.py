"""When a run of requests has succeeded or failed, in the words that OSM's tests look for."""

SUCCESS = "MAESTRO! THIS TEST SUCCEEDED!"
FAILURE = "MAESTRO, WE HAVE A PROBLEM! THIS TEST FAILED!"


class Verdict:
    """Count iterations, and tell the lines that one of them calls for.

    Success is a streak of good iterations, told once for each streak. Failure is told once, when
    the allowed iterations (0: any number) are used up without a streak that still holds.
    """

    def __init__(self, streak: int, most_iterations: int) -> None:
        self._wanted = streak
        self._most = most_iterations
        self._streak = 0
        self._iterations = 0

    def after(self, *, good: bool) -> tuple[str, ...]:
        """Return the lines to print after an iteration, most often none."""
        self._iterations += 1
        self._streak = self._streak + 1 if good else 0
        over = 0 < self._most < self._iterations
        if self._streak == self._wanted and not over:
            return (SUCCESS,)
        if self._iterations == self._most and self._streak < self._wanted:
            return (f"Threshold of {self._most} iterations exceeded", FAILURE)
        return ()
