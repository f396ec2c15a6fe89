#!/usr/bin/env python3
"""Prices, limits and dates of the catalog, as LiteLLM's own map has them.

    LITELLM_VENV/bin/python dist/litellm_prices.py            rewrites what differs in embedded/catalog.yaml
    LITELLM_VENV/bin/python dist/litellm_prices.py --check    prints what differs; exit status 1 if anything does

Run it with the Python of an environment that holds LiteLLM: the map is a file of that package, so nothing is fetched and nothing of
LiteLLM is run. Only numbers and dates change; comments, order and models stay. A model that the map does not hold is named and stays as
it is. Dates: the catalog may have an earlier one, from the provider's own page; a later one than the map's is a difference.
"""

import importlib.util
import json
import pathlib
import re
import sys

CATALOG = pathlib.Path(__file__).resolve().parents[1] / "embedded/catalog.yaml"
FIELDS = {
    "context_tokens": lambda entry: entry.get("max_input_tokens"),
    "output_tokens": lambda entry: entry.get("max_output_tokens"),
    "price_in": lambda entry: million(entry.get("input_cost_per_token")),
    "price_out": lambda entry: million(entry.get("output_cost_per_token")),
}


def million(cost):
    """Dollars for a million tokens, as the catalog writes them."""
    if cost is None:
        return None
    price = round(cost * 1_000_000, 4)
    return f"{price:.2f}" if price == round(price, 2) else f"{price:g}"


def prices():
    """LiteLLM's map of models, read as a file."""
    package = pathlib.Path(importlib.util.find_spec("litellm").origin).parent
    return json.loads((package / "model_prices_and_context_window_backup.json").read_text(encoding="utf-8"))


def entry_of(table, route):
    """The entry of a route: under its whole name, or without the provider, as the map lists Anthropic, OpenAI and Bedrock."""
    return table.get(route) or table.get(route.split("/", 1)[1])


def blocks(lines):
    """(route, first line, line after the last) of every model of the catalog."""
    starts = [number for number, line in enumerate(lines) if re.match(r"\s*- id: ", line)]
    for start in starts:
        indent = len(lines[start]) - len(lines[start].lstrip())
        end = start + 1
        while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
            end += 1
        routes = [line.split(": ", 1)[1].strip() for line in lines[start:end] if line.strip().startswith("route: ")]
        if routes:
            yield routes[0], start, end


def same(field, have, want):
    return float(have) == float(want) if field.startswith("price") else have == str(want)


def compared(lines, table):
    """Differences as (line, route, field, there, in the map), and the routes that the map does not hold."""
    differing, unknown = [], []
    for route, start, end in blocks(lines):
        entry = entry_of(table, route)
        if entry is None:
            unknown.append(route)
            continue
        for number in range(start, end):
            field, _, have = lines[number].strip().partition(": ")
            if field in FIELDS and FIELDS[field](entry) is not None and not same(field, have, FIELDS[field](entry)):
                differing.append((number, route, field, have, FIELDS[field](entry)))
            date = entry.get("deprecation_date")
            if field == "retires" and date and have.strip('"') > date:
                differing.append((number, route, field, have, f'"{date}"'))
    return differing, unknown


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__.strip())
    lines = CATALOG.read_text(encoding="utf-8").splitlines(keepends=True)
    differing, unknown = compared(lines, prices())
    for _, route, field, have, want in differing:
        print(f"{route}: {field} is {have}, LiteLLM has {want}")
    for route in unknown:
        print(f"{route}: LiteLLM's map does not hold it")
    if arguments:
        return 1 if differing else 0
    for number, _, field, have, want in differing:
        lines[number] = lines[number].replace(f"{field}: {have}", f"{field}: {want}", 1)
    CATALOG.write_text("".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
