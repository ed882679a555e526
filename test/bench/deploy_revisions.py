#!/usr/bin/python3
"""1,000 revisions of one CREATE TABLE each: CALL algo_ref.deploy() beside psql
running the same statements, each in a transaction of its own."""

import os
import tempfile

from bench import Contender, compare, create_database, drop_database, psql
from migrate_create_tables import revisions, script_file


def main():
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "plain.sql")
        with open(plain, "w") as file:
            file.writelines(up + ";\n" for _, _, _, up, _ in revisions())
        create_database("ar_bench_registered")
        psql("ar_bench_registered", "-c", "CREATE EXTENSION algo_ref")
        psql("ar_bench_registered", "-1", "-o", os.devnull, "-f", "-",
             stdin="".join(map(script_file, revisions())))

        compare("1,000 revisions of one CREATE TABLE each, a transaction for each", [
            Contender("psql",
                      lambda: psql("ar_bench_work", "-f", plain),
                      lambda: create_database("ar_bench_work")),
            Contender("CALL algo_ref.deploy()",
                      lambda: psql("ar_bench_work", "-c", "SET client_min_messages = warning",
                                   "-c", "CALL algo_ref.deploy()"),
                      lambda: create_database("ar_bench_work", "ar_bench_registered"))],
            [("CALL algo_ref.deploy()", "psql", 1.5)])
    drop_database("ar_bench_work")
    drop_database("ar_bench_registered")


if __name__ == "__main__":
    main()
