"""`python -m dr_kfs` is `dr-kfs`."""

from dr_kfs.cli import main

if __name__ == "__main__":
    main()
