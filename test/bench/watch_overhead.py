#!/usr/bin/python3
"""Lookups as pgbench -S makes them, with the watch off and on: instructions of
the server for each, counted by callgrind, and time.

The statements are prepared, and run by one standalone backend, so that nothing
but the server's own work is counted.  What a statement costs is the difference
between two runs of different length."""

import os
import re
import shutil
import subprocess
import tempfile

from bench import create_database, drop_database, psql, report

# What a lookup costs at most, in instructions and in microseconds.
INSTRUCTIONS_MOST = 400
TIME_MOST = 0.1

SCHEMA = """
CREATE EXTENSION algo_ref;
CREATE TABLE accounts (id int PRIMARY KEY, balance int, filler text);
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users, editor_id int REFERENCES users, title text);
CREATE INDEX ON posts (user_id);
INSERT INTO accounts SELECT i, i, 'filler' FROM generate_series(1, 100000) i;
INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 10000) i;
INSERT INTO posts SELECT i, i, 1 + i % 100, 'post ' || i FROM generate_series(1, 10000) i;
VACUUM ANALYZE;
"""

# title, lookup, what ran before; the last two may return several rows, and are
# for comparison
WORKLOADS = [
    ("no foreign key at the table", "SELECT balance FROM accounts WHERE id = $1", None),
    ("the key is one that foreign keys refer to", "SELECT name FROM users WHERE id = $1", None),
    ("the whole row of it", "SELECT * FROM users WHERE id = $1", None),
    ("a foreign key, and the whole row", "SELECT * FROM posts WHERE user_id = $1", None),
    ("the same after a list of other keys", "SELECT * FROM posts WHERE user_id = $1",
     "SELECT id FROM users WHERE id > 9000"),
]


def statements(lookup, before, count):
    lines = ["PREPARE lookup(int) AS " + lookup, "SET plan_cache_mode = force_generic_plan", "BEGIN"]
    if before:
        lines.append(before)
    lines += ["EXECUTE lookup(%d)" % (1 + i * 7919 % 9000) for i in range(count)]
    return "\n".join(lines) + "\n"


def server_command(*command, stdin=None):
    """A command as the user that servers run as, who is never root."""
    if os.getuid() == 0:
        command = ("runuser", "-u", "postgres", "--", *command)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode != 0 or "ERROR:" in done.stderr:
        raise SystemExit("%s\n%s" % (" ".join(command), done.stderr[-2000:]))
    return done.stderr


def instructions(folder, setting, lookup, before, count):
    """Instructions of a standalone backend for "count" lookups."""
    messages = server_command(
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", shutil.which("postgres"), "--single",
        "-D", os.path.join(folder, "data"), "-c", "session_preload_libraries=algo_ref", "-c", "algo_ref.watch=" + setting,
        "postgres", stdin=statements(lookup, before, count))
    return int(re.search(r"Collected : (\d+)", messages).group(1))


def of_one(folder, setting, lookup, before, few=200, many=1200):
    return (instructions(folder, setting, lookup, before, many) -
            instructions(folder, setting, lookup, before, few)) / (many - few)


def microseconds(lookup, before, count=20000, turns=40):
    """Time of a lookup by a loop in the server, with a generic plan: off, on.
    The settings take turns in one session, so that what else the machine does
    falls on both."""
    body = lookup.replace(" FROM", " INTO r FROM", 1).replace("$1", "i * 7919 %% 9000 + 1")
    turn = """
SET algo_ref.watch = %%s;
DO $$ DECLARE r record; BEGIN FOR i IN 1..%d LOOP %s; END LOOP; END $$;
""" % (count, body)
    script = "SET plan_cache_mode = force_generic_plan;\nBEGIN;\n%s;\n\\timing on\n" % (before or "SELECT 1")
    lines = psql("ar_bench_watch", "-f", "-", stdin=script + (turn % "off" + turn % "log") * turns).splitlines()
    times = [float(line.split()[1].replace(",", ".")) for line in lines if line.startswith("Time:")][1::2]
    return [min(times[which::2]) * 1000 / count for which in (0, 1)]


def main():
    create_database("ar_bench_watch")
    psql("ar_bench_watch", "-f", "-", stdin=SCHEMA)
    psql("ar_bench_watch", "-c", "ALTER DATABASE ar_bench_watch SET session_preload_libraries = 'algo_ref'")
    for title, lookup, before in WORKLOADS:
        off, on = microseconds(lookup, before)
        print("\n%s: %s\n  best of 40 turns: off %.3f us, on %.3f us" % (title, lookup, off, on))
        if "WHERE id" in lookup:
            report("time of a lookup that the watch adds", on - off, TIME_MOST, " us")
    drop_database("ar_bench_watch")
    count_instructions()


def count_instructions():
    """With a data folder of their own, and no other process."""
    with tempfile.TemporaryDirectory() as folder:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        data = os.path.join(folder, "data")
        server_command("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C.UTF-8")
        server_command("pg_ctl", "-D", data, "-w", "-l", os.path.join(folder, "log"),
                       "-o", "-c listen_addresses= -c fsync=off -k " + folder, "start")
        try:
            server_command("psql", "-X", "-q", "-h", folder, "-U", "postgres", "-f", "-", stdin=SCHEMA)
        finally:
            server_command("pg_ctl", "-D", data, "-w", "stop")
        for title, lookup, before in WORKLOADS:
            off = of_one(folder, "off", lookup, before)
            on = of_one(folder, "log", lookup, before)
            print("\n%s: %s\n  off %.0f instructions, on %.0f" % (title, lookup, off, on))
            if "WHERE id" in lookup:
                report("instructions of a lookup that the watch adds", on - off, INSTRUCTIONS_MOST)


main()
