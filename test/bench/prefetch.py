#!/usr/bin/python3
"""Prefetch beside the SQL that one would write, and beside clients that do it
themselves: 20,000 users, 200,000 posts, 1,000,000 comments, 600,000 post_tags.

Children lie scattered in their tables.  Statements are prepared, JIT and
parallel query are off.  The first tables are the server's own time: a statement
runs in a loop there, and its rows are turned into text and thrown away.  Best
SQL is the fastest of a lateral join, json_build_object, a correlated
subselect, and a hash join with GROUP BY; one that takes three times as long as
another in its first run does not run again.  COUNTS (10,100,1000,20000) says how
many users, PARTS which tables, of sql,forms,first,memory,top,clients."""

import os
import statistics
import time

import psycopg2

from bench import ROUNDS, create_database, drop_database, memory_of, psql, report

DATABASE = "ar_bench_prefetch"
COUNTS = [int(count) for count in os.environ.get("COUNTS", "10,100,1000,20000").split(",")]

SCHEMA = """
CREATE EXTENSION algo_ref;
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE posts (id int PRIMARY KEY, user_id int NOT NULL, title text NOT NULL, body text NOT NULL, views int NOT NULL,
  created_at timestamptz NOT NULL);
CREATE TABLE comments (id int PRIMARY KEY, post_id int NOT NULL, author_id int NOT NULL, body text NOT NULL,
  created_at timestamptz NOT NULL);
CREATE TABLE tags (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE post_tags (post_id int NOT NULL, tag_id int NOT NULL, PRIMARY KEY (post_id, tag_id));
INSERT INTO users SELECT n, 'user ' || n, 'user' || n || '@example.com',
  '2020-01-01 00:00:00+00'::timestamptz + n * interval '17 minutes' FROM generate_series(1, 20000) n;
INSERT INTO posts SELECT n, n * 7919::bigint % 20000 + 1, 'Title of post ' || n, repeat('Some text of a post. ', 3) || n, n * 31 % 1000,
  '2021-01-01 00:00:00+00'::timestamptz + n * 7907::bigint % 200000 * interval '7 minutes' FROM generate_series(1, 200000) n;
INSERT INTO comments SELECT n, n * 104729::bigint % 200000 + 1, n * 7907::bigint % 20000 + 1, 'Comment ' || n || ' on something',
  '2021-06-01 00:00:00+00'::timestamptz + n * interval '2 minutes' FROM generate_series(1, 1000000) n;
INSERT INTO tags SELECT n, 'tag ' || n FROM generate_series(1, 1000) n;
INSERT INTO post_tags SELECT p, (p * 17 + k * 331) % 1000 + 1 FROM generate_series(1, 200000) p, generate_series(1, 3) k;
CREATE INDEX ON posts (user_id);
CREATE INDEX ON comments (post_id);
CREATE INDEX ON comments (author_id);
CREATE INDEX ON post_tags (tag_id);
ALTER TABLE posts ADD FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE comments ADD FOREIGN KEY (post_id) REFERENCES posts, ADD FOREIGN KEY (author_id) REFERENCES users;
ALTER TABLE post_tags ADD FOREIGN KEY (post_id) REFERENCES posts, ADD FOREIGN KEY (tag_id) REFERENCES tags;

-- the same number of posts, of which ten users have 10,000 each
CREATE TABLE skewed (LIKE posts INCLUDING DEFAULTS, PRIMARY KEY (id));
INSERT INTO skewed SELECT id, CASE WHEN id <= 100000 THEN id % 10 + 1 ELSE user_id END, title, body, views, created_at FROM posts;
CREATE INDEX ON skewed (user_id);
ALTER TABLE skewed ADD FOREIGN KEY (user_id) REFERENCES users;

CREATE FUNCTION milliseconds(statement text, times int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz := clock_timestamp();
BEGIN
  FOR i IN 1 .. times LOOP
    EXECUTE 'EXECUTE ' || statement;
  END LOOP;
  RETURN extract(epoch FROM clock_timestamp() - start) * 1000 / times;
END $$;
"""

OBJECT = {
    "users": "'id', {0}.id, 'name', {0}.name, 'email', {0}.email, 'created_at', {0}.created_at",
    "posts": "'id', {0}.id, 'user_id', {0}.user_id, 'title', {0}.title, 'body', {0}.body, 'views', {0}.views, 'created_at', {0}.created_at",
    "comments": "'id', {0}.id, 'post_id', {0}.post_id, 'author_id', {0}.author_id, 'body', {0}.body, 'created_at', {0}.created_at",
    "tags": "'id', {0}.id, 'name', {0}.name",
}

# Each level: the table, its alias, and how its rows are found from above.
AUTHOR = ("author", "users", "a", "a.id = c.author_id", None, None)
COMMENTS = ("comments", "comments", "c", "c.post_id = p.id", "post_id", AUTHOR)
TAGS = ("tags", "tags", "t", "t.id = pt.tag_id AND pt.post_id = p.id", "post_id", None)
SHAPES = {
    "posts": ("posts", "posts", "p", "p.user_id = u.id", "user_id", None),
    "posts.comments": ("posts", "posts", "p", "p.user_id = u.id", "user_id", COMMENTS[:5] + (None,)),
    "posts.comments.author": ("posts", "posts", "p", "p.user_id = u.id", "user_id", COMMENTS),
    "posts.tags": ("posts", "posts", "p", "p.user_id = u.id", "user_id", TAGS),
}


def tables(level):
    return "post_tags pt, tags t" if level[1] == "tags" else "%s %s" % level[1:3]


def build(level):
    """A subselect that makes objects column by column."""
    name, table, alias, where, key, below = level
    columns = OBJECT[table].format(alias)
    if below:
        columns += ", '%s', %s" % (below[0], build(below))
    if key is None:
        return "(SELECT json_build_object(%s) FROM %s WHERE %s)" % (columns, tables(level), where)
    return ("(SELECT coalesce(json_agg(json_build_object(%s) ORDER BY %s.id), '[]') FROM %s WHERE %s)"
            % (columns, alias, tables(level), where))


def correlated(level, aggregate="json_agg", row="row_to_json", empty="'[]'"):
    """A subselect that makes rows, then JSON of them."""
    name, table, alias, where, key, below = level
    more = ", %s AS %s" % (correlated(below, aggregate, row, empty), below[0]) if below else ""
    if key is None:
        return "(SELECT %s(%s) FROM %s WHERE %s)" % (row, alias, tables(level), where)
    return ("(SELECT coalesce(%s(x ORDER BY x.id), %s) FROM (SELECT %s.*%s FROM %s WHERE %s) x)"
            % (aggregate, empty, alias, more, tables(level), where))


def lateral(level):
    name, table, alias, where, key, below = level
    more, join = "", ""
    if below:
        more, join = ", %s_j.j AS %s" % (below[2], below[0]), " " + lateral(below)
    if key is None:
        return ("LEFT JOIN LATERAL (SELECT row_to_json(%s) AS j FROM %s WHERE %s) %s_j ON true"
                % (alias, tables(level), where, alias))
    return ("LEFT JOIN LATERAL (SELECT coalesce(json_agg(x ORDER BY x.id), '[]') AS j FROM (SELECT %s.*%s FROM %s%s WHERE %s) x) %s_j ON true"
            % (alias, more, tables(level), join, where, alias))


def grouped(level):
    """A hash join with the children of all parents, by GROUP BY."""
    name, table, alias, where, key, below = level
    more, join = "", ""
    if below and below[4]:
        more = ", coalesce(%s_j.j, '[]') AS %s" % (below[2], below[0])
        join = " LEFT JOIN (%s) %s_j ON %s_j.key = %s.id" % (grouped(below), below[2], below[2], alias)
    elif below:
        more = ", row_to_json(%s) AS %s" % (below[2], below[0])
        join = " LEFT JOIN %s ON %s" % (tables(below), below[3])
    if table == "tags":
        return "SELECT pt.post_id AS key, json_agg(t ORDER BY t.id) AS j FROM post_tags pt JOIN tags t ON t.id = pt.tag_id GROUP BY 1"
    return ("SELECT x.%s AS key, json_agg(x ORDER BY x.id) AS j FROM (SELECT %s.*%s FROM %s%s) x GROUP BY 1"
            % (key, alias, more, tables(level), join))


def parents(count):
    return "SELECT * FROM users" + (" ORDER BY id LIMIT %d" % count if count < 20000 else "")


def written(path, count):
    """The SQL that one would write."""
    level = SHAPES[path]
    users = "(%s) u" % parents(count)
    return {
        "lateral": "SELECT row_to_json(x) FROM (SELECT u.*, p_j.j AS posts FROM %s %s) x" % (users, lateral(level)),
        "json_build_object": "SELECT json_build_object(%s, 'posts', %s) FROM %s"
                             % (OBJECT["users"].format("u"), build(level), users),
        "correlated": "SELECT row_to_json(x) FROM (SELECT u.*, %s AS posts FROM %s) x" % (correlated(level), users),
        "hash join": "SELECT row_to_json(x) FROM (SELECT u.*, coalesce(p_j.j, '[]') AS posts FROM %s LEFT JOIN (%s) p_j ON p_j.key = u.id) x"
                     % (users, grouped(level)),
    }


def prefetch(path, count, function="prefetch"):
    return "SELECT * FROM algo_ref.%s('%s', '%s')" % (function, parents(count), path)


class Session:
    """A connection on which statements are prepared and timed in the server."""

    def __init__(self):
        self.connection = psycopg2.connect(dbname=DATABASE)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        for setting in ("jit = off", "max_parallel_workers_per_gather = 0", "work_mem = '256MB'"):
            self.execute("SET " + setting)
        self.count = 0

    def execute(self, sql):
        self.cursor.execute(sql)

    def value(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetchone()[0]

    def prepare(self, sql, used):
        """Prepare a statement that makes some use of the rows of another."""
        self.count += 1
        name = "bench_%d" % self.count
        self.execute("PREPARE %s AS SELECT count(%s) FROM (%s) q(r)" % (name, used, sql))
        return name

    def milliseconds(self, name, times=1):
        return self.value("SELECT milliseconds('%s', %d)" % (name, times))


def turns(session, statements, used="octet_length(r::text)", rounds=ROUNDS):
    """Medians in milliseconds, the statements in turn."""
    names = {title: session.prepare(sql, used) for title, sql in statements.items()}
    first = {}
    for title, name in names.items():
        session.milliseconds(name)
        first[title] = session.milliseconds(name)
    best = min(first.values())
    times = {title: [] for title in names if first[title] <= 3 * best or "prefetch" in title}
    for _ in range(rounds):
        for title in times:
            times[title].append(session.milliseconds(names[title], max(1, int(20 / first[title]))))
    return {title: statistics.median(times.get(title) or [first[title]]) for title in names}


def check_same(session, path):
    """The contenders return the same rows."""
    ours = "SELECT r::jsonb FROM (%s) q(r)" % prefetch(path, 100)
    for title, sql in written(path, 100).items():
        theirs = "SELECT r::jsonb FROM (%s) q(r)" % sql
        if session.value("SELECT count(*) FROM ((%s EXCEPT ALL %s) UNION ALL (%s EXCEPT ALL %s)) d" % (ours, theirs, theirs, ours)):
            raise SystemExit("%s is not the same as prefetch at %s" % (title, path))


def best_sql(session):
    print("\nserver time, prefetch and the fastest SQL (median of %d)" % ROUNDS)
    for path in SHAPES:
        check_same(session, path)
        for count in COUNTS:
            statements = dict(written(path, count), prefetch=prefetch(path, count))
            if count < 1000:
                del statements["hash join"]     # it groups the whole table
            medians = turns(session, statements)
            ours = medians.pop("prefetch")
            best = min(medians, key=medians.get)
            print("  %5d users, %-22s %9.2f ms; %s %9.2f ms" % (count, path, ours, best, medians[best]))
            report("prefetch / best SQL", ours / medians[best], 0.4 if count == 20000 and "." in path else 0.5)


def other_forms(session):
    path = "posts.comments"
    level = SHAPES[path]
    levels = ("SELECT to_jsonb(x) FROM (SELECT u.*, %s AS posts FROM (%s) u) x"
              % (correlated(level, "jsonb_agg", "to_jsonb", "'[]'::jsonb"), parents(1000)))
    medians = turns(session, {"jsonb_agg": levels, "prefetch": prefetch(path, 1000)})
    print("\nother forms, 1,000 users, depth 2 (median of %d)" % ROUNDS)
    print("  as text: prefetch %.1f ms, jsonb_agg at each level %.1f ms" % (medians["prefetch"], medians["jsonb_agg"]))
    report("prefetch / jsonb_agg at each level", medians["prefetch"] / medians["jsonb_agg"], 0.2)
    medians = turns(session, {"prefetch": prefetch(path, 1000), "prefetch_jsonb": prefetch(path, 1000, "prefetch_jsonb")},
                    "pg_column_size(r)")
    print("  as it is: prefetch %.1f ms, prefetch_jsonb %.1f ms" % (medians["prefetch"], medians["prefetch_jsonb"]))
    report("prefetch_jsonb / prefetch", medians["prefetch_jsonb"] / medians["prefetch"], 1.3)


def first_row(session):
    path = "posts.comments"
    forms = {}
    for count in (200, 20000):
        call = "algo_ref.prefetch('%s', '%s')" % (parents(count), path)
        forms["prefetch in FROM, %d" % count] = "SELECT * FROM %s LIMIT 1" % call
        forms["prefetch in the select list, %d" % count] = "SELECT %s LIMIT 1" % call
        forms["lateral, %d" % count] = written(path, count)["lateral"] + " LIMIT 1"
    medians = turns(session, forms)
    print("\nfirst row, depth 2 (median of %d)" % ROUNDS)
    for title, median in medians.items():
        print("  %-44s %10.3f ms" % (title, median))
    for place in ("FROM", "the select list"):
        report("in %s / lateral" % place, medians["prefetch in %s, 20000" % place] / medians["lateral, 20000"], 1.5)
        report("in %s, 20000 / 200" % place,
               medians["prefetch in %s, 20000" % place] / medians["prefetch in %s, 200" % place], 1.5)


def memory():
    print("\nmemory, depth 2")
    for title, sql in (("20,000 parents", prefetch("posts.comments", 20000)),
                       ("200,000 parents", "SELECT * FROM algo_ref.prefetch('SELECT * FROM posts', 'comments.author')")):
        session = Session()
        session.execute("SET work_mem = '4MB'")
        pid = session.value("SELECT pg_backend_pid()")
        files = session.value("SELECT temp_files FROM pg_stat_database WHERE datname = current_database()")
        session.value("SELECT count(*) FROM posts")
        try:
            most, before = memory_of(pid, lambda: session.value("SELECT count(octet_length(r::text)) FROM (%s) q(r)" % sql))
        except PermissionError:
            print("  the server's processes are not readable")
            return
        session.connection.close()
        time.sleep(1.5)
        files = int(psql(DATABASE, "-c", "SELECT temp_files FROM pg_stat_database WHERE datname = current_database()")) - files
        report("%s: private memory, most" % title, most / 2 ** 20, 16, " MB")
        report("%s: what it grew by" % title, (most - before) / 2 ** 20, 16, " MB")
        report("%s: temporary files" % title, files, 0)


def top_three(session):
    print("\nthe three latest of each parent, 20,000 parents (median of %d)" % ROUNDS)

    def both(title, table, most):
        medians = turns(session, {
            "prefetch": "SELECT * FROM algo_ref.prefetch('SELECT * FROM users', '%s(order: created_at desc; limit: 3)')" % table,
            "lateral": "SELECT row_to_json(x) FROM (SELECT u.*, p.j AS posts FROM users u LEFT JOIN LATERAL "
                       "(SELECT coalesce(json_agg(p), '[]') AS j FROM (SELECT * FROM %s p WHERE p.user_id = u.id "
                       "ORDER BY created_at DESC, id LIMIT 3) p) p ON true) x" % table})
        print("  %-40s prefetch %8.1f ms; lateral %8.1f ms" % (title, medians["prefetch"], medians["lateral"]))
        report("prefetch / lateral", medians["prefetch"] / medians["lateral"], most)

    both("ten posts each, index on the key", "posts", 0.6)
    both("some have 10,000, index on the key", "skewed", 0.6)
    session.execute("CREATE INDEX posts_top ON posts (user_id, created_at DESC, id); ANALYZE posts")
    session.execute("CREATE INDEX skewed_top ON skewed (user_id, created_at DESC, id); ANALYZE skewed")
    both("ten posts each, index on key and order", "posts", 1.0)
    both("some have 10,000, index on key and order", "skewed", 1.0)
    session.execute("DROP INDEX posts_top; DROP INDEX skewed_top")


def clients():
    """End to end, with what the client does to have objects in hand."""
    from sqlalchemy import ForeignKey, create_engine
    from sqlalchemy.orm import Session as OrmSession
    from sqlalchemy.orm import declarative_base, relationship, selectinload
    from sqlalchemy import Column, DateTime, Integer, Text

    base = declarative_base()

    class User(base):
        __tablename__ = "users"
        id, name, email, created_at = Column(Integer, primary_key=True), Column(Text), Column(Text), Column(DateTime)
        posts = relationship("Post", order_by="Post.id")

    class Post(base):
        __tablename__ = "posts"
        id, title, body, views, created_at = (Column(Integer, primary_key=True), Column(Text), Column(Text), Column(Integer),
                                              Column(DateTime))
        user_id = Column(ForeignKey("users.id"))
        comments = relationship("Comment", order_by="Comment.id")

    class Comment(base):
        __tablename__ = "comments"
        id, body, created_at = Column(Integer, primary_key=True), Column(Text), Column(DateTime)
        post_id, author_id = Column(ForeignKey("posts.id")), Column(ForeignKey("users.id"))
        author = relationship("User")

    connection = psycopg2.connect(dbname=DATABASE)
    connection.autocommit = True
    cursor = connection.cursor()
    engine = create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(dbname=DATABASE))

    def selectin():
        with OrmSession(engine) as session:
            users = (session.query(User).order_by(User.id).limit(1000)
                     .options(selectinload(User.posts).selectinload(Post.comments)).all())
            assert sum(len(post.comments) for user in users for post in user.posts) > 0

    def objects(sql, *arguments):
        cursor.execute(sql, arguments)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor]

    def attach(rows, parents_of, key, name):
        by_key = {}
        for row in rows:
            by_key.setdefault(row[key], []).append(row)
        for parent in parents_of:
            parent[name] = by_key.get(parent["id"], [])

    def by_hand(depth):
        users = objects("SELECT * FROM users ORDER BY id LIMIT 1000")
        posts = objects("SELECT * FROM posts WHERE user_id = ANY (%s) ORDER BY id", [user["id"] for user in users])
        attach(posts, users, "user_id", "posts")
        comments = objects("SELECT * FROM comments WHERE post_id = ANY (%s) ORDER BY id", [post["id"] for post in posts])
        attach(comments, posts, "post_id", "comments")
        if depth == 3:
            authors = {author["id"]: author for author in
                       objects("SELECT * FROM users WHERE id = ANY (%s)", list({comment["author_id"] for comment in comments}))}
            for comment in comments:
                comment["author"] = authors[comment["author_id"]]
        return users

    def nested(path):
        cursor.execute("SELECT * FROM algo_ref.prefetch('%s', '%s')" % (parents(1000), path))
        return [row[0] for row in cursor]

    def sets():
        return assembled("SELECT path, json_agg(\"row\") FROM algo_ref.prefetch_sets('%s', '%s') GROUP BY path")

    def arrays():
        return assembled("SELECT path, rows FROM algo_ref.prefetch_arrays('%s', '%s')")

    def assembled(sql):
        cursor.execute(sql % (parents(1000), "posts.comments.author"))
        rows = dict(cursor)
        users, posts, comments = rows[""], rows["posts"], rows["posts.comments"]
        attach(posts, users, "user_id", "posts")
        attach(comments, posts, "post_id", "comments")
        authors = {author["id"]: author for author in rows["posts.comments.author"]}
        for comment in comments:
            comment["author"] = authors[comment["author_id"]]
        return users

    def tree(users):
        return [(u["id"], [(p["id"], [(c["id"], c.get("author", {}).get("id")) for c in p["comments"]]) for p in u["posts"]])
                for u in users]

    if not tree(sets()) == tree(arrays()) == tree(by_hand(3)) == tree(nested("posts.comments.author")):
        raise SystemExit("the clients do not have the same")
    work = {
        "SQLAlchemy selectinload": selectin,
        "select-in by hand": lambda: by_hand(2),
        "prefetch": lambda: nested("posts.comments"),
        "select-in by hand, depth 3": lambda: by_hand(3),
        "prefetch, depth 3": lambda: nested("posts.comments.author"),
        "prefetch_sets, depth 3": sets,
        "prefetch_arrays, depth 3": arrays,
    }
    times = {title: [] for title in work}
    for round_number in range(ROUNDS + 1):
        for title, action in work.items():
            start = time.perf_counter()
            action()
            if round_number > 0:
                times[title].append((time.perf_counter() - start) * 1000)
    medians = {title: statistics.median(values) for title, values in times.items()}
    print("\nend to end in the client, 1,000 users, depth 2 unless said (median of %d)" % ROUNDS)
    for title, median in medians.items():
        print("  %-44s %10.1f ms" % (title, median))
    report("prefetch / SQLAlchemy selectinload", medians["prefetch"] / medians["SQLAlchemy selectinload"], 1 / 12)
    report("prefetch / select-in by hand", medians["prefetch"] / medians["select-in by hand"], 1.0)
    for function in ("prefetch_sets", "prefetch_arrays"):
        report("%s / select-in by hand, depth 3" % function,
               medians[function + ", depth 3"] / medians["select-in by hand, depth 3"], 0.8)


PARTS = {
    "sql": lambda: best_sql(Session()),
    "forms": lambda: other_forms(Session()),
    "first": lambda: first_row(Session()),
    "memory": memory,
    "top": lambda: top_three(Session()),
    "clients": clients,
}


def main():
    if os.environ.get("KEEP") != "old":
        create_database(DATABASE)
        psql(DATABASE, "-c", SCHEMA)
        psql(DATABASE, "-c", "VACUUM ANALYZE")
    for part in os.environ.get("PARTS", ",".join(PARTS)).split(","):
        PARTS[part]()
    if not os.environ.get("KEEP"):
        drop_database(DATABASE)


if __name__ == "__main__":
    main()
