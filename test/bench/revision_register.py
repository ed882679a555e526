#!/usr/bin/python3
"""Registering 10,000 script files through psql -f of one file, beside plain
INSERTs of the same rows into the same table, with and without -1."""

import os
import tempfile

from bench import Contender, compare, create_database, drop_database, psql

COUNT = 10000
UP = ("CREATE TABLE t%d (id bigint PRIMARY KEY, name text NOT NULL, created_at timestamptz DEFAULT now());\n"
      "CREATE INDEX ON t%d (name, created_at);\n")
DOWN = "DROP TABLE t%d;\n"


def main():
    with tempfile.TemporaryDirectory() as folder:
        scripts, inserts = os.path.join(folder, "scripts.sql"), os.path.join(folder, "inserts.sql")
        with open(scripts, "w") as script, open(inserts, "w") as insert:
            parent = ""
            for n in range(COUNT):
                id = "%012x" % (n + 1)
                script.write("SELECT algo_ref.revision(message => 'table %d', id => '%s', revises => '{%s}',\n"
                             "upgrade => $up$%s$up$, downgrade => $down$%s$down$);\n"
                             % (n, id, parent, UP % (n, n), DOWN % n))
                insert.write("INSERT INTO algo_ref.script (revision, revises, branch_labels, depends_on, transactional, author, "
                             "created_at, checksum, message, upgrade, downgrade) VALUES ('%s', '{%s}', '{}', '{}', true, "
                             "current_user, now(), '\\x%064x', 'table %d', $up$%s$up$, $down$%s$down$);\n"
                             % (id, parent, n, n, UP % (n, n), DOWN % n))
                parent = id

        def fresh():
            create_database("ar_bench_work")
            psql("ar_bench_work", "-c", "CREATE EXTENSION algo_ref")

        for title, options in (("one transaction", ["-1"]), ("a transaction each", [])):
            compare("registering 10,000 script files, " + title, [
                Contender("INSERT", lambda: psql("ar_bench_work", *options, "-o", os.devnull, "-f", inserts), fresh),
                Contender("algo_ref.revision()", lambda: psql("ar_bench_work", *options, "-o", os.devnull, "-f", scripts), fresh)],
                [("algo_ref.revision()", "INSERT", 3.0)])
    drop_database("ar_bench_work")


main()
