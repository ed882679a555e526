#!/usr/bin/python3
"""Cases of other tools, judged: is the schema after the upgrade the declared one?

    cases.py [--quick] [--only TEXT] [--list STATE] [--jobs N]

The folder with the cases is named by ALGO_REF_CASES; without one there is
nothing to do.  It holds psqldef/*.yml (current and desired DDL) and
migra/*/a.sql and b.sql.  The server is that of the libpq environment.

A case is built twice: current in one database, desired in another.  The first
is migrated to the DDL of the second.  It is "equal" if pg_dump -s of both is
the same, nothing differs in a second comparison, and the downgrade brings the
first dump back; "refused" if an error says why not; "unloadable" if the server
does not take its DDL; and otherwise "wrong", which must not happen.  Dumps are
compared without the order of statements and of columns.

--quick compares with algo_ref.fingerprint() only.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import subprocess
import sys
import threading

import psycopg2
import yaml

from dumps import difference, statements_of


def load(folder):
    """The cases: (file, name, current, desired, settings)."""
    for path in sorted(glob.glob(os.path.join(folder, 'psqldef', '*.yml'))):
        with open(path) as stream:
            cases = yaml.safe_load(stream)
        for name, case in cases.items():
            yield (os.path.basename(path), name, case.get('current') or '', case.get('desired') or '', case)
    for path in sorted(glob.glob(os.path.join(folder, 'migra', '*', 'a.sql'))):
        texts = []
        for other in ('a.sql', 'b.sql'):
            with open(os.path.join(os.path.dirname(path), other)) as stream:
                texts.append(stream.read())
        yield ('migra', os.path.basename(os.path.dirname(path)), texts[0], texts[1], {})


class Judge:
    def __init__(self, quick):
        self.quick = quick
        self.lock = threading.Lock()
        self.sql('postgres', 'DROP DATABASE IF EXISTS cases_template')
        self.sql('postgres', 'CREATE DATABASE cases_template TEMPLATE template0')
        self.sql('cases_template', 'CREATE EXTENSION algo_ref')

    @staticmethod
    def connect(database):
        connection = psycopg2.connect(dbname=database)
        connection.autocommit = True
        return connection

    def sql(self, database, text):
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(text)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def create(self, name):
        with self.lock:
            self.sql('postgres', 'DROP DATABASE IF EXISTS %s WITH (FORCE)' % name)
            self.sql('postgres', 'CREATE DATABASE %s TEMPLATE cases_template' % name)

    def dump(self, database):
        if self.quick:
            rows = self.sql(database, "SELECT string_agg(f.schema || f.fingerprint, ',' ORDER BY f.schema) "
                            "FROM algo_ref.fingerprints(ARRAY(SELECT nspname FROM pg_namespace "
                            "WHERE nspname !~ '^pg_|^information_schema$|^algo_ref$')) f")
            return [rows[0][0]]
        done = subprocess.run(['pg_dump', '-s', '-N', 'algo_ref', database], check=True,
                              capture_output=True, text=True)
        return statements_of(done.stdout)

    def judge(self, number, case):
        """(state, why)"""
        _, _, current, desired, _ = case
        if not desired.strip():
            # an empty model is refused, with this hint
            desired = 'CREATE SCHEMA IF NOT EXISTS public'
        live, declared = 'cases_a%d' % number, 'cases_b%d' % number
        self.create(live)
        self.create(declared)
        try:
            try:
                if current.strip():
                    self.sql(live, current)
                if desired.strip():
                    self.sql(declared, desired)
            except psycopg2.Error as error:
                return 'unloadable', str(error).split('\n')[0]
            before, wanted = self.dump(live), self.dump(declared)
            try:
                made = self.sql(live, psycopg2_format("SELECT algo_ref.autogenerate('case', %s, '{*}')", desired))
                if made[0][0]:
                    self.sql(live, "SELECT * FROM algo_ref.upgrade('head')")
            except psycopg2.Error as error:
                if error.pgcode in ('XX000', '57P01') or not error.pgcode:
                    return 'wrong', str(error)
                return 'refused', str(error).strip()
            got = self.dump(live)
            if got != wanted:
                return 'wrong', 'after the upgrade\n' + difference(wanted, got)
            try:
                self.sql(live, psycopg2_format('SELECT algo_ref."check"(%s, \'{*}\')', desired))
                if made[0][0]:
                    self.sql(live, "SELECT * FROM algo_ref.downgrade('base')")
            except psycopg2.Error as error:
                return 'wrong', str(error)
            got = self.dump(live)
            if got != before:
                return 'wrong', 'after the downgrade\n' + difference(before, got)
            return 'equal', ''
        finally:
            with self.lock:
                self.sql('postgres', 'DROP DATABASE IF EXISTS %s WITH (FORCE)' % live)
                self.sql('postgres', 'DROP DATABASE IF EXISTS %s WITH (FORCE)' % declared)


def psycopg2_format(text, value):
    return text.replace('%s', psycopg2.extensions.QuotedString(value).getquoted().decode('latin-1')
                        if value.isascii() else "'" + value.replace("'", "''") + "'")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--only', default='')
    parser.add_argument('--list', default='wrong')
    parser.add_argument('--jobs', type=int, default=2)
    options = parser.parse_args()
    folder = os.environ.get('ALGO_REF_CASES')
    if not folder or not os.path.isdir(folder):
        print('skipped: ALGO_REF_CASES names no folder')
        return 0
    cases = [case for case in load(folder) if options.only in '%s %s' % case[:2]]
    judge = Judge(options.quick)
    table = collections.defaultdict(collections.Counter)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for case, (state, why) in zip(cases, pool.map(lambda item: judge.judge(*item), enumerate(cases))):
            table[case[0]][state] += 1
            if state in options.list.split(','):
                print('%s: %s %s\n%s\n' % (state, case[0], case[1], why), flush=True)
    states = ('equal', 'refused', 'unloadable', 'wrong')
    print('%-32s %s' % ('', ' '.join('%10s' % state for state in states)))
    total = collections.Counter()
    for name, counts in sorted(table.items()):
        print('%-32s %s' % (name, ' '.join('%10d' % counts[state] for state in states)))
        total += counts
    print('%-32s %s' % ('all', ' '.join('%10d' % total[state] for state in states)))
    judge.sql('postgres', 'DROP DATABASE IF EXISTS cases_template')
    return 1 if total['wrong'] else 0


if __name__ == '__main__':
    sys.exit(main())
