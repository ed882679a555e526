#!/usr/bin/python3
"""Ways for rows to come in, beside COPY: as an array in memory, as a binary
parameter, into a table that has a million rows, from Python; and the memory
that a million rows take.

PARTS (arrays,into,clients,memory) says which.
"""

import asyncio
import datetime
import decimal
import json
import os
import tempfile

import asyncpg
import psycopg2
import sqlalchemy

from bench import ROUNDS, Contender, compare, create_database, drop_database, memory_of, psql, report
from bulk_wide import COLUMNS, FULL, wide_rows
from libpq import Connection

PARTS = os.environ.get("PARTS", "arrays,into,clients,memory").split(",")
DATABASE = "ar_bench_bulk"
MANY = 1000000
COUNT = 100000
TRUNCATE = ("-c", "TRUNCATE full_indexed RESTART IDENTITY", "-c", "CHECKPOINT")

FROM_MEMORY = """
  DO $$
  DECLARE
    rows full_indexed[];
    start timestamptz;
  BEGIN
    SELECT array_agg(ROW(NULL, %(columns)s)::full_indexed) INTO rows FROM wide_rows;
    start := clock_timestamp();
    PERFORM algo_ref.bulk_insert('full_indexed', rows, columns => '{%(columns)s}');
    PERFORM set_config('bench.seconds', extract(epoch FROM clock_timestamp() - start)::text, false);
  END $$""" % {"columns": COLUMNS}


def prepare_rows(first, last):
    psql(DATABASE, "-c", "CREATE EXTENSION IF NOT EXISTS algo_ref", "-c",
         "CREATE TABLE wide_rows AS" + wide_rows(first, last), "-c", "VACUUM ANALYZE wide_rows")


def connect():
    connection = psycopg2.connect(dbname=DATABASE)
    connection.autocommit = True
    return connection


def copy_from(cursor, folder):
    path = os.path.join(folder, "rows")
    psql(DATABASE, "-c", "\\copy wide_rows TO '%s'" % path)
    return Contender("COPY", lambda: cursor().execute("COPY full_indexed (%s) FROM '%s'" % (COLUMNS, path)))


def arrays(folder):
    """Rows that are an array already."""
    create_database(DATABASE)
    psql(DATABASE, "-c", FULL)
    prepare_rows(1, COUNT)
    path = os.path.join(folder, "array")
    psql(DATABASE, "-c", "\\copy (SELECT array_agg(ROW(NULL, %s)::full_indexed) FROM wide_rows) TO '%s' (FORMAT binary)" % (COLUMNS, path))
    with open(path, "rb") as file:
        # signature, flags, extension; the number of fields and the length
        array = file.read()[19 + 2 + 4:-2]
    session = connect()
    binary = Connection(DATABASE)

    def from_memory():
        cursor = session.cursor()
        cursor.execute(FROM_MEMORY)
        cursor.execute("SELECT current_setting('bench.seconds')")
        return float(cursor.fetchone()[0])

    contenders = [
        copy_from(session.cursor, folder),
        Contender("array in memory", from_memory),
        Contender("array as binary parameter", lambda: binary.execute(
            "SELECT algo_ref.bulk_insert('full_indexed', $1::full_indexed[], columns => '{%s}')" % COLUMNS, array, True)),
    ]
    for contender in contenders:
        contender.prepare = lambda: psql(DATABASE, *TRUNCATE)
    compare("full, %d rows from arrays" % COUNT, contenders,
            [("array in memory", "COPY", 0.3), ("array as binary parameter", "COPY", 0.42)])
    assert psql(DATABASE, "-c", "SELECT count(*) FROM full_indexed") == str(COUNT)
    binary.close()
    session.close()
    drop_database(DATABASE)


def into(folder):
    """Into a table that has a million rows."""
    template = DATABASE + "_template"
    create_database(template)
    psql(template, "-c", "CREATE EXTENSION algo_ref", "-c", "CREATE EXTENSION pg_prewarm", "-c", FULL, "-c", "INSERT INTO full_indexed (%s) %s" % (COLUMNS, wide_rows(1, MANY)),
         "-c", "CREATE TABLE wide_rows AS" + wide_rows(MANY + 1, MANY + COUNT), "-c",
         "CREATE TABLE source (rows text); ALTER TABLE source ALTER rows SET STORAGE EXTERNAL;"
         "INSERT INTO source SELECT json_agg(r)::text FROM wide_rows r", "-c", "VACUUM ANALYZE", "-c", "CHECKPOINT")
    sessions = []

    def prepare():
        while sessions:
            sessions.pop().close()
        create_database(DATABASE, template)
        psql("postgres", "-c", "CHECKPOINT")
        sessions.append(connect())
        sessions[0].cursor().execute("SELECT pg_prewarm(oid) FROM pg_class WHERE relkind IN ('r', 'i', 't') AND relnamespace = 'public'::regnamespace")

    prepare()
    contenders = [
        copy_from(lambda: sessions[0].cursor(), folder),
        Contender("bulk_insert", lambda: sessions[0].cursor().execute(
            "SELECT algo_ref.bulk_insert('full_indexed', (SELECT rows FROM source))")),
        Contender("bulk_insert_query", lambda: sessions[0].cursor().execute(
            "SELECT algo_ref.bulk_insert_query('full_indexed', 'SELECT * FROM wide_rows')")),
    ]
    for contender in contenders:
        contender.prepare = prepare
    compare("full, %d rows into %d" % (COUNT, MANY), contenders, [("bulk_insert", "COPY", 0.35)])
    assert psql(DATABASE, "-c", "SELECT count(*) FROM full_indexed") == str(MANY + COUNT)
    sessions.pop().close()
    drop_database(DATABASE)
    drop_database(template)


def clients(folder):
    """Dictionaries that a Python program has."""
    create_database(DATABASE)
    psql(DATABASE, "-c", FULL)
    prepare_rows(1, COUNT)
    session = connect()
    cursor = session.cursor()
    cursor.execute("SELECT %s FROM wide_rows" % COLUMNS)
    names = COLUMNS.split(", ")
    rows = [dict(zip(names, row)) for row in cursor]
    engine = sqlalchemy.create_engine("postgresql+psycopg2:///%s" % DATABASE)
    table = sqlalchemy.Table("full_indexed", sqlalchemy.MetaData(), autoload_with=engine)
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(database=DATABASE, host=os.environ.get("PGHOST"), user=os.environ.get("PGUSER")))
    insert = "SELECT algo_ref.bulk_insert('full_indexed', %s)"

    def executemany():
        with engine.begin() as transaction:
            transaction.execute(table.insert(), rows)

    contenders = [
        Contender("bulk_insert, psycopg2", lambda: session.cursor().execute(insert, [json.dumps(rows, default=str)])),
        Contender("bulk_insert, asyncpg", lambda: loop.run_until_complete(
            connection.execute(insert % "$1::text", json.dumps(rows, default=str)))),
        Contender("copy_records_to_table, asyncpg", lambda: loop.run_until_complete(connection.copy_records_to_table(
            "full_indexed", columns=names, records=[tuple(row.values()) for row in rows]))),
        Contender("executemany, SQLAlchemy", executemany),
    ]
    for contender in contenders:
        contender.prepare = lambda: psql(DATABASE, *TRUNCATE)
    assert isinstance(rows[0]["created_at"], datetime.datetime) and isinstance(rows[0]["balance"], decimal.Decimal)
    compare("full, %d dictionaries from Python" % COUNT, contenders,
            [("bulk_insert, psycopg2", "copy_records_to_table, asyncpg", 1), ("bulk_insert, asyncpg", "copy_records_to_table, asyncpg", 1),
             ("bulk_insert, psycopg2", "executemany, SQLAlchemy", 1 / 3)])
    assert psql(DATABASE, "-c", "SELECT count(*) FROM full_indexed") == str(COUNT)
    loop.run_until_complete(connection.close())
    engine.dispose()
    session.close()
    drop_database(DATABASE)


def memory(folder):
    """The memory of one call, of a backend that has done nothing else."""
    create_database(DATABASE)
    psql(DATABASE, "-c", FULL)
    prepare_rows(1, MANY)
    text = psql(DATABASE, "-c", "SELECT json_agg(r) FROM wide_rows r").encode()
    entries = int(psql(DATABASE, "-c", "SELECT setting::int / 1024 FROM pg_settings WHERE name = 'maintenance_work_mem'"))
    print("\nmemory, %d rows, %d MB of JSON, maintenance_work_mem %d MB" % (MANY, len(text) / 2 ** 20, entries))
    most = {}
    for title, sql, parameter in (
            ("length", "SELECT length($1::text)", text),
            ("json", "SELECT algo_ref.bulk_insert('full_indexed', $1::text)", text),
            ("query", "SELECT algo_ref.bulk_insert_query('full_indexed', 'SELECT * FROM wide_rows')", None)):
        psql(DATABASE, *TRUNCATE)
        connection = Connection(DATABASE)
        try:
            most[title], before = memory_of(connection.pid, lambda: connection.execute(sql, parameter))
        except PermissionError:
            print("  the server's processes are not readable")
            return
        connection.close()
    report("from json, beyond length()", (most["json"] - most["length"]) / 2 ** 20, 64 + entries, " MB")
    report("from a query, in all", (most["query"] - before) / 2 ** 20, 16 + entries, " MB")
    drop_database(DATABASE)


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for part in PARTS:
            {"arrays": arrays, "into": into, "clients": clients, "memory": memory}[part](folder)


main()
