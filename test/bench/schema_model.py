#!/usr/bin/python3
"""The schema model: fingerprints of 1,000 schemas of five tables, and the diff
of schemas of 1,000 and 10,000 tables against themselves, beside the declared
DDL alone and beside Alembic's reflection."""

import os
import statistics
import tempfile

import bench
from bench import ROUNDS, create_database, drop_database, psql, report, seconds

TENANTS = 1000
SIZES = tuple(int(size) for size in os.environ.get("TABLES", "1000,10000").split(","))
DATABASE = "ar_bench_schema"

ALEMBIC = """
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine
with create_engine("postgresql+psycopg2:///%s").connect() as connection:
    context = MigrationContext.configure(connection, opts={"include_schemas": False})
    produce_migrations(context, MetaData())
""" % DATABASE


def table(name):
    columns = ", ".join("c%d text%s" % (n, ("", " NOT NULL", " DEFAULT 'x'")[n % 3])
                        for n in range(1, 10))
    return "CREATE TABLE %s (id int PRIMARY KEY, %s);\nCREATE INDEX ON %s (c1);\n" % (name, columns, name)


def median(action, rounds=ROUNDS):
    return statistics.median(seconds(action) for _ in range(rounds))


def fingerprints():
    create_database(DATABASE)
    psql(DATABASE, "-c", "CREATE EXTENSION algo_ref")
    for first in range(0, TENANTS, 100):
        psql(DATABASE, "-1", "-f", "-", stdin="".join(
            "CREATE SCHEMA s%d;\n" % s + "".join(
                "CREATE TABLE s%d.t%d (id int PRIMARY KEY, a text NOT NULL, b int DEFAULT 0, c timestamptz);\n"
                "CREATE INDEX ON s%d.t%d (a);\n" % (s, t, s, t) for t in range(5))
            for s in range(first, first + 100)))
    psql(DATABASE, "-c", "VACUUM ANALYZE")
    print("\n%d schemas of 5 tables" % TENANTS)
    report("fingerprints()", median(lambda: psql(
        DATABASE, "-c", "SELECT count(DISTINCT fingerprint) FROM algo_ref.fingerprints(ARRAY("
        "SELECT nspname FROM pg_namespace WHERE nspname ~ '^s[0-9]'))")), 0.4, "s")
    drop_database(DATABASE)


def differences():
    beyond = {}
    for size in SIZES:
        create_database(DATABASE)
        psql(DATABASE, "-c", "CREATE EXTENSION algo_ref")
        ddl = "".join(table("t%d" % n) for n in range(size))
        psql(DATABASE, "-c", "ALTER DATABASE %s SET client_min_messages = warning" % DATABASE)
        with tempfile.TemporaryDirectory() as folder:
            plain, diff = os.path.join(folder, "plain.sql"), os.path.join(folder, "diff.sql")
            # the same DDL, run by the server in one call as diff() runs it
            with open(plain, "w") as file:
                file.write("DO $run$ BEGIN EXECUTE $ddl$%s$ddl$; END $run$; ROLLBACK;" % ddl)
            with open(diff, "w") as file:
                file.write("SELECT count(*) FROM algo_ref.diff($ddl$%s$ddl$);" % ddl)
            rounds = ROUNDS if size <= 1000 else 3
            psql(DATABASE, "-1", "-f", "-", stdin=ddl)
            psql(DATABASE, "-c", "VACUUM ANALYZE")
            # in turn, and both beside the live schema
            pairs = [(seconds(lambda: psql(DATABASE, "-c", "BEGIN", "-c", "CREATE SCHEMA other",
                                           "-c", "SET search_path = other", "-f", plain)),
                      seconds(lambda: psql(DATABASE, "-f", diff))) for _ in range(rounds)]
        alone, compared = (statistics.median(times) for times in zip(*pairs))
        beyond[size] = compared - alone
        print("\na schema of %d tables, %d columns, %d indexes, against itself" % (size, 10 * size, 2 * size))
        print("  %-32s %10.2f s" % ("the declared DDL alone", alone))
        print("  %-32s %10.2f s" % ("diff()", compared))
        if size == 1000:
            report("diff() beyond the DDL", beyond[size], 2.0, "s")
            alembic = median(lambda: bench.run_command("/usr/bin/python3", "-c", ALEMBIC), 1)
            print("  %-32s %10.2f s" % ("Alembic's autogenerate", alembic))
            report("diff() beyond the DDL / Alembic", beyond[size] / alembic, 0.1, "")
        drop_database(DATABASE)
    if len(SIZES) > 1:
        report("growth of what is beyond the DDL", beyond[SIZES[-1]] / beyond[SIZES[0]], 12.0, "")


def main():
    fingerprints()
    differences()


if __name__ == "__main__":
    main()
