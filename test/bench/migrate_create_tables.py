#!/usr/bin/python3
"""1,000 revisions of one CREATE TABLE each: algo_ref.upgrade('head') beside
psql running the same statements in one transaction, and beside Alembic."""

import os
import tempfile

import alembic_project
from bench import Contender, compare, create_database, drop_database, psql, run_command

COUNT = 1000


def revisions():
    parent = None
    for n in range(COUNT):
        id = "%012x" % (n + 1)
        yield (id, parent, "create table t%d" % n,
               "CREATE TABLE t%d (id bigint PRIMARY KEY, name text NOT NULL, created_at timestamptz)" % n,
               "DROP TABLE t%d" % n)
        parent = id


def script_file(revision):
    id, parent, message, up, down = revision
    return ("SELECT algo_ref.revision(message => '%s', id => '%s', revises => '{%s}', "
            "upgrade => $up$%s$up$, downgrade => $down$%s$down$);\n"
            % (message, id, parent or "", up, down))


def main():
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "plain.sql")
        with open(plain, "w") as file:
            file.writelines(up + ";\n" for _, _, _, up, _ in revisions())
        alembic_project.write(os.path.join(folder, "alembic"), "ar_bench_work", revisions())
        create_database("ar_bench_registered")
        psql("ar_bench_registered", "-c", "CREATE EXTENSION algo_ref")
        psql("ar_bench_registered", "-1", "-o", os.devnull, "-f", "-",
             stdin="".join(map(script_file, revisions())))

        compare("1,000 revisions of one CREATE TABLE each", [
            Contender("psql -1",
                      lambda: psql("ar_bench_work", "-1", "-f", plain),
                      lambda: create_database("ar_bench_work")),
            Contender("alembic upgrade head",
                      lambda: run_command("alembic", "upgrade", "head",
                                          cwd=os.path.join(folder, "alembic")),
                      lambda: create_database("ar_bench_work")),
            Contender("algo_ref.upgrade('head')",
                      lambda: psql("ar_bench_work", "-c", "SELECT * FROM algo_ref.upgrade('head')"),
                      lambda: create_database("ar_bench_work", "ar_bench_registered"))],
            [("algo_ref.upgrade('head')", "psql -1", 1.0),
             ("algo_ref.upgrade('head')", "alembic upgrade head", 0.5)])
    drop_database("ar_bench_work")
    drop_database("ar_bench_registered")


if __name__ == "__main__":
    main()
