#!/usr/bin/python3
"""Rows of JSON and of a query, beside COPY of the same rows from a file and
INSERT ... json_populate_recordset.

Three tables: "full" with two indexes and two constraints, "pk" with its
primary key alone, "narrow" with three columns, unlogged, and no index.  ROWS
(1000,10000,100000) says how many rows; 1000000 takes its time.

All contenders run in one session: a connection costs as much as ten thousand
rows.  The JSON, as COPY's text, is in a file that the server reads.
"""

import os
import tempfile

import psycopg2

import bulk_wide
from bench import Contender, ROUNDS, compare, create_database, drop_database, psql
from bulk_wide import FULL, TABLE, wide_rows

COUNTS = [int(count) for count in os.environ.get("ROWS", "1000,10000,100000").split(",")]
DATABASE = "ar_bench_bulk"

SCHEMA = FULL + TABLE % ("", "pk", "") + """
    CREATE UNLOGGED TABLE narrow (a int, b text, c int);
    CREATE TABLE wide_rows AS %s;
    CREATE TABLE narrow_rows AS SELECT i AS a, md5(i::text) AS b, hashint4(i) AS c FROM generate_series(1, %d) i;
    VACUUM ANALYZE;"""
COLUMNS = {"wide_rows": bulk_wide.COLUMNS, "narrow_rows": "a, b, c"}


def contenders(session, folder, target, rows):
    columns = COLUMNS[rows]
    path = os.path.join(folder, rows)
    psql(DATABASE, "-c", "\\copy %s TO '%s'" % (rows, path))
    prepare = lambda: psql(DATABASE, "-c", "TRUNCATE %s RESTART IDENTITY" % target, "-c", "CHECKPOINT")
    run = lambda sql: (lambda: session.execute(sql))
    with open(path + ".json", "w") as file:
        file.write(psql(DATABASE, "-c", "SELECT json_agg(r) FROM %s r" % rows))
    text = "pg_read_file('%s.json')" % path
    return [
        Contender("COPY", run("COPY %s (%s) FROM '%s'" % (target, columns, path)), prepare),
        Contender("json_populate_recordset",
                  run("INSERT INTO %s (%s) SELECT %s FROM json_populate_recordset(NULL::%s, %s::json)"
                      % (target, columns, columns, target, text)), prepare),
        Contender("bulk_insert", run("SELECT algo_ref.bulk_insert('%s', %s)" % (target, text)), prepare),
        Contender("bulk_insert without leaf runs",
                  run("SET algo_ref.bulk_leaf_runs = off; SELECT algo_ref.bulk_insert('%s', %s); RESET algo_ref.bulk_leaf_runs" % (target, text)),
                  prepare),
        Contender("INSERT SELECT", run("INSERT INTO %s (%s) SELECT * FROM %s" % (target, columns, rows)), prepare),
        Contender("bulk_insert_query",
                  run("SELECT algo_ref.bulk_insert_query('%s', 'SELECT * FROM %s')" % (target, rows)), prepare),
    ]


def bounds(target, count):
    if target == "full_indexed":
        json = {10000: 0.5, 100000: 0.38, 1000000: 0.25}.get(count)
        query = {100000: 0.3, 1000000: 0.2}.get(count)
    else:
        json = {"pk": 0.6, "narrow": 1.4}[target] if count >= 10000 else None
        query = 0.3 if target == "pk" and count >= 10000 else None
    result = [("bulk_insert", "COPY", json), ("bulk_insert_query", "COPY", query),
              ("bulk_insert without leaf runs", "COPY", 0.7 if target == "full_indexed" and count >= 100000 else None),
              ("bulk_insert", "json_populate_recordset", 0.33 if count >= 100000 else 1)]
    return [bound for bound in result if bound[2]]


def main():
    for count in COUNTS:
        create_database(DATABASE)
        psql(DATABASE, "-c", "CREATE EXTENSION algo_ref")
        psql(DATABASE, "-f", "-", stdin=SCHEMA % (wide_rows(1, count), count))
        connection = psycopg2.connect(dbname=DATABASE)
        connection.autocommit = True
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            for target, rows in (("full_indexed", "wide_rows"), ("pk", "wide_rows"), ("narrow", "narrow_rows")):
                compare("%s, %d rows" % (target, count), contenders(connection.cursor(), folder, target, rows), bounds(target, count),
                        rounds=ROUNDS)
        connection.close()
        drop_database(DATABASE)


main()
