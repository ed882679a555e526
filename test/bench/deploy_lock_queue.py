#!/usr/bin/python3
"""Innocent readers while a migration wants a table that a long reader holds.

One transaction reads the table and stays open for 4 s; four clients read it
100 times a second each; half a second in, ADD COLUMN comes: as a plain ALTER
TABLE, by Alembic, and by CALL algo_ref.deploy().  Printed: the slowest read of
the four clients, and how long after the end of the long reader the migration
ended."""

import os
import statistics
import tempfile
import threading
import time

import psycopg2

import alembic_project
from bench import ROUNDS, create_database, drop_database, psql, report, run_command

HOLD = 4.0
READERS = 4
RATE = 100.0
DATABASE = "ar_bench_queue"


def connect():
    connection = psycopg2.connect(dbname=DATABASE)
    connection.autocommit = True
    return connection


def read(times, stop):
    cursor = connect().cursor()
    due = time.perf_counter()
    while not stop.is_set():
        start = time.perf_counter()
        cursor.execute("SELECT count(*) FROM orders WHERE id = 1")
        cursor.fetchall()
        times.append(time.perf_counter() - start)
        due += 1 / RATE
        time.sleep(max(0.0, due - time.perf_counter()))


def round(migrate):
    """The slowest innocent read, and the migration's end after the reader's."""
    times, stop = [], threading.Event()
    readers = [threading.Thread(target=read, args=(times, stop)) for _ in range(READERS)]
    holder = psycopg2.connect(dbname=DATABASE)
    holder.cursor().execute("SELECT count(*) FROM orders")
    released = time.perf_counter() + HOLD
    for reader in readers:
        reader.start()
    time.sleep(0.5)
    ended = []
    migration = threading.Thread(target=lambda: (migrate(), ended.append(time.perf_counter())))
    migration.start()
    time.sleep(max(0.0, released - time.perf_counter()))
    holder.rollback()
    released = time.perf_counter()
    holder.close()
    migration.join()
    time.sleep(0.2)
    stop.set()
    for reader in readers:
        reader.join()
    return max(times), ended[0] - released


def prepare():
    create_database(DATABASE)
    psql(DATABASE, "-c", "CREATE EXTENSION algo_ref",
         "-c", "CREATE TABLE orders AS SELECT g AS id, g AS v FROM generate_series(1, 10000) g",
         "-c", "CREATE UNIQUE INDEX ON orders (id)", "-c", "VACUUM ANALYZE orders",
         "-o", os.devnull,
         "-c", "SELECT algo_ref.revision('x', 'ALTER TABLE orders ADD COLUMN x int', id => 'x', revises => '{}')")


def main():
    with tempfile.TemporaryDirectory() as folder:
        project = os.path.join(folder, "alembic")
        alembic_project.write(project, DATABASE,
                              [("x", None, "x", "ALTER TABLE orders ADD COLUMN x int", "")])
        ways = {
            "plain ALTER TABLE": lambda: psql(DATABASE, "-c", "ALTER TABLE orders ADD COLUMN x int"),
            "alembic upgrade head": lambda: run_command("alembic", "upgrade", "head", cwd=project),
            "CALL algo_ref.deploy()": lambda: psql(DATABASE, "-c", "CALL algo_ref.deploy()"),
        }
        results = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, migrate in ways.items():
                prepare()
                results[name].append(round(migrate))
    print("\nADD COLUMN while a transaction of %g s reads the table (median of %d)" % (HOLD, ROUNDS))
    for name, pairs in results.items():
        print("  %-30s slowest read %8.1f ms   ended %7.1f ms after the reader"
              % (name, 1000 * statistics.median(slowest for slowest, _ in pairs),
                 1000 * statistics.median(late for _, late in pairs)))
    ours = results["CALL algo_ref.deploy()"]
    report("slowest read during the deploy", 1000 * statistics.median(s for s, _ in ours), 50, " ms")
    report("end of the deploy after the reader's", 1000 * statistics.median(l for _, l in ours), 200, " ms")
    drop_database(DATABASE)


if __name__ == "__main__":
    main()
