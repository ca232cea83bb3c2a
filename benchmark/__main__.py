"""`python -m benchmark` is `gcnnbench`."""

from benchmark.cli import main

if __name__ == "__main__":
    main()
