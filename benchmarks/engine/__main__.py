from tabveil.cli import process_border

from .run import main

if __name__ == "__main__":
    with process_border():
        main()
