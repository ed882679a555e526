#!/usr/bin/python3
"""Planning over large graphs: plan('heads') from base for 10,000 and 100,000
revisions in a line, in a ladder of branch-and-merge diamonds, and in a
thousand parallel branches; how it grows, and what memory it takes.

The baseline is the least that any way of it has to do: reading the ids of all
scripts, sorted, to the client."""

import os
import re
import subprocess

from bench import Contender, compare, create_database, drop_database, psql, report


def line(count):
    return [("r%06d" % n, ["r%06d" % (n - 1)] if n else []) for n in range(count)]


def ladder(diamonds):
    """A base, then diamonds: two arms on the last merge, and their merge."""
    rows = [("m000000", [])]
    for n in range(1, diamonds + 1):
        last, arms = "m%06d" % (n - 1), ["a%06d" % n, "b%06d" % n]
        rows += [(arms[0], [last]), (arms[1], [last]), ("m%06d" % n, arms)]
    return rows


def branches(count, length):
    rows = [("base", [])]
    for n in range(length):
        rows += [("b%04d_%04d" % (b, n), ["b%04d_%04d" % (b, n - 1)] if n else ["base"])
                 for b in range(count)]
    return rows


def load(database, rows):
    """The rows are put into the table directly: registering is measured in
    revision_register.py."""
    create_database(database)
    psql(database, "-c", "CREATE EXTENSION algo_ref")
    copy = "".join("%s\t{%s}\t{}\t{}\tt\tpostgres\tnow\t\\\\x\t%s\t\t\n"
                   % (id, ",".join(parents), "message") for id, parents in rows)
    psql(database, "-f", "-", stdin="COPY algo_ref.script (revision, revises, branch_labels, depends_on, transactional, "
         "author, created_at, checksum, message, upgrade, downgrade) FROM stdin;\n" + copy + "\\.\n"
         "VACUUM ANALYZE algo_ref.script;")


def plan(database):
    psql(database, "-c", "SELECT count(*), max(revision) FROM algo_ref.plan('heads', from_heads => '{}')")


def memory(database, rows):
    """Bytes a revision, the ids apart, as the server itself counts them."""
    done = subprocess.run(["psql", "-X", "-q", "-d", database, "-c", "SET client_min_messages = debug1",
                           "-c", "SELECT count(*) FROM algo_ref.plan('heads', from_heads => '{}')"],
                          capture_output=True, text=True, check=True)
    total = int(re.search(r"revision plan: (\d+) bytes", done.stderr).group(1))
    return (total - sum(len(id) + 1 for id, _ in rows)) / len(rows)


def main():
    graphs = {
        "line of 10,000": line(10000),
        "line of 100,000": line(100000),
        "ladder of 2,500 diamonds": ladder(2500),
        "ladder of 25,000 diamonds": ladder(25000),
        "100 branches of 100": branches(100, 100),
        "100 branches of 1,000": branches(100, 1000),
    }
    names = {title: "ar_bench_plan_%d" % n for n, title in enumerate(graphs)}
    for title, rows in graphs.items():
        load(names[title], rows)
    contenders = []
    for title in graphs:
        contenders.append(Contender("sorted ids, " + title, lambda d=names[title]: psql(
            d, "-o", os.devnull, "-c", "SELECT revision FROM algo_ref.script ORDER BY load_order")))
        contenders.append(Contender("plan, " + title, lambda d=names[title]: plan(d)))
    medians = compare("plan('heads') from base", contenders)
    for title in graphs:
        if len(graphs[title]) > 50000:
            report("seconds, " + title, medians["plan, " + title], 0.5, " s")
    for small, large in (("line of 10,000", "line of 100,000"),
                         ("ladder of 2,500 diamonds", "ladder of 25,000 diamonds"),
                         ("100 branches of 100", "100 branches of 1,000")):
        report("growth, %s to %s" % (small, large),
               medians["plan, " + large] / medians["plan, " + small], 12)
    for title in graphs:
        report("bytes a revision, " + title, memory(names[title], graphs[title]), 200)
    for name in names.values():
        drop_database(name)


main()
