"""``python -m frp_wrapper`` is ``frpw``."""

from frp_wrapper.cli import main

if __name__ == "__main__":
    main()
