#!/usr/bin/python3
"""10,000 empty revisions: upgrade('head'), current() and an upgrade with
nothing to do, beside Alembic's commands."""

import os
import tempfile

import alembic_project
from bench import Contender, compare, create_database, drop_database, psql, report, run_command

COUNT = 10000


def revisions():
    parent = None
    for n in range(COUNT):
        id = "%012x" % (n + 1)
        yield (id, parent, "step %d" % n, "", "")
        parent = id


def in_server(database, statement, times=20):
    """Median time of a statement within one session, in milliseconds."""
    script = "\\timing on\n" + (statement + ";\n") * times
    lines = psql(database, "-f", "-", stdin=script).splitlines()
    found = sorted(float(line.split()[1].replace(",", ".")) for line in lines if line.startswith("Time:"))
    return found[len(found) // 2]


def main():
    with tempfile.TemporaryDirectory() as folder:
        project = os.path.join(folder, "alembic")
        alembic_project.write(project, "ar_bench_alembic", revisions())
        create_database("ar_bench_registered")
        psql("ar_bench_registered", "-c", "CREATE EXTENSION algo_ref")
        psql("ar_bench_registered", "-1", "-o", os.devnull, "-f", "-",
             stdin="".join("SELECT algo_ref.revision(message => '%s', id => '%s', revises => '{%s}', downgrade => '');\n"
                           % (message, id, parent or "") for id, parent, message, _, _ in revisions()))

        compare("10,000 empty revisions: upgrade to head", [
            Contender("alembic upgrade head",
                      lambda: run_command("alembic", "upgrade", "head", cwd=project),
                      lambda: create_database("ar_bench_alembic")),
            Contender("algo_ref.upgrade('head')",
                      lambda: psql("ar_bench_work", "-c", "SELECT * FROM algo_ref.upgrade('head')"),
                      lambda: create_database("ar_bench_work", "ar_bench_registered"))],
            [("algo_ref.upgrade('head')", "alembic upgrade head", 0.1)])
        compare("10,000 empty revisions: current", [
            Contender("alembic current", lambda: run_command("alembic", "current", cwd=project)),
            Contender("algo_ref.current()",
                      lambda: psql("ar_bench_work", "-c", "SELECT * FROM algo_ref.current()"))],
            [("algo_ref.current()", "alembic current", 0.01)],
            rounds=3)
        compare("10,000 empty revisions: upgrade with nothing to do", [
            Contender("psql, SELECT 1", lambda: psql("ar_bench_work", "-c", "SELECT 1")),
            Contender("alembic upgrade head", lambda: run_command("alembic", "upgrade", "head", cwd=project)),
            Contender("algo_ref.upgrade('head')",
                      lambda: psql("ar_bench_work", "-c", "SELECT * FROM algo_ref.upgrade('head')"))])
        report("nothing to do, first call of a session (new connection)",
               min(in_server("ar_bench_work", "SELECT * FROM algo_ref.upgrade('head')", 1) for _ in range(5)),
               5, " ms")
        report("nothing to do, later calls of a session",
               in_server("ar_bench_work", "SELECT * FROM algo_ref.upgrade('head')"), 5, " ms")
    for name in ("ar_bench_work", "ar_bench_alembic", "ar_bench_registered"):
        drop_database(name)


main()
