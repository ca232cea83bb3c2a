"""`python -m gcnnbench` is `gcnnbench`."""

from gcnnbench.cli import main

if __name__ == "__main__":
    main()
