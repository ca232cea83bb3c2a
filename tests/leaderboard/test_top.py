"""`leaderboard --top N`: the first rows of the first table, the same that stand in the whole."""

from pathlib import Path

from typer.testing import CliRunner

from gcnnbench.cli.app import build_app

RESULTS = Path(__file__).parents[2] / "results"


def rows(*words: str) -> list[str]:
    done = CliRunner().invoke(build_app(), ["leaderboard", "quickstart", "--results", str(RESULTS), *words])
    assert done.exit_code == 0, done.output
    return [line for line in done.stdout.splitlines() if line.startswith("|")]


def test_the_top_is_the_beginning_of_the_whole_and_says_how_much_is_left_out() -> None:
    def numbers(lines: list[str]) -> list[str]:
        return [line.replace(" ", "").replace("approx.", "approximate") for line in lines[2:5]]

    assert numbers(rows("--top", "3")) == numbers(rows())
    done = CliRunner().invoke(build_app(), ["leaderboard", "quickstart", "--results", str(RESULTS), "--top", "3"])
    assert "3 of 7 rows" in done.stdout


def test_the_top_is_for_reading_only() -> None:
    done = CliRunner().invoke(build_app(), ["leaderboard", "--top", "3", "--format", "csv"])
    assert "leave out --format" in str(done.exception)
