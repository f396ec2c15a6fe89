#!/usr/bin/env python3
"""Holds the payload against what it promises: every script for success and failure, every template, the catalog both ways.

Standard library and PyYAML; needs curl, and uses shellcheck, dash and openssl where they are. No network beyond the loopback address.
Names of tests or classes may be given: python3 tests/payload/scripts_test.py start_test.Start

exit status: 0 all passed, 1 not
"""
import pathlib
import sys
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

MODULES = ["files_test", "start_test", "shell_test", "python_test"]


def main():
    begun = time.monotonic()
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:] or MODULES)
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    bad = len(result.failures) + len(result.errors)
    for test, why in result.skipped:
        print(f"skipped {test}: {why}")
    print(f"payload: {result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped in {time.monotonic() - begun:.0f} s")
    return 1 if bad or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main())
