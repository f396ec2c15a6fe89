"""Every test of the scripts in embedded/servers: `python3 tests/servers/scripts_test.py [-k NAME]`."""
import pathlib
import sys
import unittest

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here))


def load_tests(loader, _standard, _pattern):
    return unittest.TestSuite(loader.loadTestsFromName(path.stem) for path in sorted(here.glob("*_test.py")) if path.name != "scripts_test.py")


if __name__ == "__main__":
    unittest.main()
