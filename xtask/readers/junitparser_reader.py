"""Print what the Python package `junitparser` reads in a JUnit file, as lines of JSON: the totals, then each case.

    junitparser_reader.py FILE

It needs junitparser with lxml.
"""

import json
import sys

from junitparser.xunit2 import JUnitXml

OUTCOMES = {"failure": "failure", "error": "error", "skipped": "skipped"}


def line_of(case):
    """Return what junitparser reads of one case."""
    results = case.result
    if len(results) > 1:
        sys.exit(f"error: `{case.name}` has {len(results)} results")
    result = results[0] if results else None
    reruns = [*case.rerun_failures(), *case.rerun_errors(), *case.flaky_failures(), *case.flaky_errors()]
    line = case._elem.get("line")
    return {
        "classname": case.classname,
        "name": case.name,
        "outcome": OUTCOMES[result._tag] if result is not None else "passed",
        "kind": result.type if result is not None else None,
        "message": result.message if result is not None else None,
        "text": result.text if result is not None else None,
        "reruns": len(reruns),
        "place": {"file": case._elem.get("file"), "line": int(line) if line else None},
        "stdout": case.system_out or "",
    }


def main():
    report = JUnitXml.fromfile(sys.argv[1])
    suites = list(report)
    totals = {name: getattr(report, name) for name in ("tests", "failures", "errors")}
    # In the dialect of Surefire only suites have it.
    totals["skipped"] = sum(suite.skipped for suite in suites)
    print(json.dumps(totals))
    for suite in suites:
        for case in suite:
            print(json.dumps(line_of(case)))


main()
