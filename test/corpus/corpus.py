#!/usr/bin/python3
"""The server's own regression scripts as migration scripts.

    corpus.py FOLDER [NAME...]

FOLDER is src/test/regress of PostgreSQL's source.  Of each file of its sql/, the
statements that succeed in one transaction make one script: it is what psql -1
runs to its end.  Registered as a revision and applied by algo_ref.upgrade(), it
must run to its end, too, and leave the database as psql left it, which pg_dump
says.  Prints a line for each file; exits with 1 if one differs.

Left out are the statements that no script may contain (transaction control,
COPY from and to the client, what refuses a transaction block) or that reach out
of the database (roles, tablespaces, settings of the server).  What the server
does not have (the tests' own library) fails in the first pass and is left out,
too.
"""

import difflib
import glob
import os
import re
import subprocess
import sys
import time

import psycopg2

BASE, WORK = "corpus_base", "corpus_work"

# Files that have nothing but what is left out.
NO_SCRIPTS = {"test_setup", "tablespace", "largeobject"}

# What other files build on.
FOUNDATION = ["test_setup", "create_misc", "create_operator", "create_procedure",
              "create_table", "create_type", "create_schema"]

LEFT_OUT = re.compile(r"""^\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:
    (?:begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction
      |set\s+transaction|set\s+session\s+characteristics|vacuum|discard|checkpoint|load|listen|notify|unlisten)\b
    |copy\b.*\b(?:stdin|stdout)\b
    |(?:create|drop|alter)\s+(?:database|tablespace|subscription|role|user|group|system)\b(?!\s+mapping)
    |(?:drop|reassign)\s+owned\b
    |reindex\s+(?:\(.*?\)\s*)?(?:database|system)\b
    |cluster\s*;?\s*$
    |(?:select|insert|update|delete|show)\b.*;\s*(?:begin|commit|rollback|start|end|abort)\b
    |set\s+standard_conforming_strings
    |.*\bconcurrently\b)""", re.I | re.S | re.X)


# The first statement of each script: chance is to fall alike.
SEED = "SELECT setseed(0.5)"


def psql(database, *args, environment=None):
    return subprocess.run(["psql", "-XqAt", "-d", database, *args], capture_output=True, text=True,
                          errors="replace", env={**os.environ, **(environment or {})}, timeout=120)


def connect(database):
    connection = psycopg2.connect(dbname=database)
    connection.autocommit = True
    return connection


def create(database, template):
    done = psql("postgres", "-c", "DROP DATABASE IF EXISTS %s (FORCE)" % database,
                "-c", "CREATE DATABASE %s TEMPLATE %s" % (database, template))
    if done.returncode != 0:
        raise SystemExit(done.stderr)


def dump(database):
    done = subprocess.run(["pg_dump", "--no-sync", "-N", "algo_ref", "--extension=plpgsql", "-d", database],
                          capture_output=True, text=True, errors="replace")
    # newer ones print a key of their own
    return re.sub(r"^\\(un)?restrict .*\n", "", done.stdout + done.stderr, flags=re.M)


def server_log():
    """The whole log, which the server itself reads for us."""
    cursor = connect("postgres").cursor()
    cursor.execute("SELECT pg_read_file(current_setting('data_directory') || '/../log/server')")
    return cursor.fetchone()[0]


def statements(folder, name):
    """What psql sends for a file, as the server's log has it."""
    application = "corpus_%d" % time.time_ns()
    try:
        psql(WORK, "-f", "%s/sql/%s.sql" % (folder, name), environment={
            "PGAPPNAME": application, "PG_ABS_SRCDIR": folder, "PG_LIBDIR": "/nonexistent", "PG_DLSUFFIX": ".so",
            "PG_ABS_BUILDDIR": folder, "PGOPTIONS": "-c log_statement=all -c statement_timeout=20s"})
    except subprocess.TimeoutExpired:
        pass
    found = []
    for entry in re.split(r"\n(?!\t)", server_log()):
        head, separator, statement = entry.partition(application + " LOG:  statement: ")
        if separator:
            found.append(statement.replace("\n\t", "\n"))
    return [s for s in found if not LEFT_OUT.match(s)]


def run(cursor, statement):
    """True if it succeeds."""
    try:
        cursor.execute(statement.encode())
        return True
    except psycopg2.Error:
        return False


def script_of(folder, name):
    """The statements of a file that make one transaction, which is then what WORK holds."""
    create(WORK, BASE)
    candidates = statements(folder, name)
    script = commits(successful(candidates, "SELECT"))
    if script is None:
        # what a deferred constraint would refuse in the end has to go, too
        script = commits(successful(candidates, "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"))
    return script


def successful(candidates, check):
    """The statements that succeed one after the other, and the check after them."""
    create(WORK, BASE)
    connection = connect(WORK)
    cursor = connection.cursor()
    cursor.execute("SET statement_timeout = '10s'; BEGIN")
    script = [SEED]
    for statement in candidates:
        cursor.execute("SAVEPOINT before")
        if run(cursor, statement) and run(cursor, check):
            script.append(statement)
            cursor.execute("RELEASE before")
        else:
            cursor.execute("ROLLBACK TO before; RELEASE before")
    connection.close()
    return script


def commits(script):
    """What of the script succeeds as one transaction, without savepoints; None if it cannot be committed."""
    while True:
        create(WORK, BASE)
        connection = connect(WORK)
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        failed = next((i for i, s in enumerate(script) if not run(cursor, s)), None)
        committed = failed is None and run(cursor, "COMMIT")
        connection.close()
        if failed is None:
            return script if committed else None
        del script[failed]


def check(folder, name):
    script = script_of(folder, name)
    if script is None:
        print("%-30s leaves what a commit refuses" % name)
        return True
    expected = dump(WORK)
    create(WORK, BASE)
    psql(WORK, "-c", "CREATE EXTENSION algo_ref")
    text = "".join(s.rstrip().rstrip(";") + "\n;\n" for s in script)
    cursor = connect(WORK).cursor()
    try:
        cursor.execute("SELECT algo_ref.revision('corpus', %s, id => 'corpus', revises => '{}')", (text,))
        cursor.execute("SELECT count(*) FROM algo_ref.upgrade('head')")
    except psycopg2.Error as error:
        print("%-30s FAILED\n%s" % (name, error))
        return False
    difference = list(difflib.unified_diff(expected.split("\n"), dump(WORK).split("\n"), "psql", "upgrade", lineterm="", n=1))
    print("%-30s %5d statements%s" % (name, len(script), "  DIFFERS" if difference else ""))
    print("\n".join(difference[:40]), end="\n" if difference else "")
    return not difference


def main():
    folder = os.path.abspath(sys.argv[1])
    names = sys.argv[2:] or sorted(os.path.basename(f)[:-4] for f in glob.glob(folder + "/sql/*.sql"))
    create(BASE, "template1")
    for name in FOUNDATION:
        psql(BASE, "-f", "%s/sql/%s.sql" % (folder, name), environment={
            "PG_ABS_SRCDIR": folder, "PG_LIBDIR": "/nonexistent", "PG_DLSUFFIX": ".so"})
    wrong = 0
    for name in names:
        if name not in NO_SCRIPTS:
            wrong += not check(folder, name)
            sys.stdout.flush()
    for database in (WORK, BASE):
        psql("postgres", "-c", "DROP DATABASE IF EXISTS %s (FORCE)" % database)
    print("%d files, %d wrong" % (len(names), wrong))
    return 1 if wrong or not names else 0


sys.exit(main())
