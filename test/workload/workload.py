#!/usr/bin/python3
"""What applications do, for the watch to judge: workload.py NAME [DATABASE]

A workload is a function here; the name of one that is an N+1 says so.  Where
PGHOST, PGPORT and PGUSER point is the schema of blog.sql.  Exits with 77 where
a package is missing that the workload needs.
"""

import asyncio
import os
import random
import subprocess
import sys
import threading

try:
    import psycopg2
except ImportError:
    psycopg2 = None
try:
    import asyncpg
except ImportError:
    asyncpg = None
try:
    import sqlalchemy
    from sqlalchemy import Column, ForeignKey, Integer, Table, Text, create_engine, select
    from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload, subqueryload
except ImportError:
    sqlalchemy = None

DATABASE = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("PGDATABASE", "postgres")


def uses(*packages):
    """Say which packages a workload is made with."""
    def mark(workload):
        workload.packages = packages
        return workload
    return mark


if sqlalchemy:
    Base = declarative_base()

    post_tags = Table("post_tags", Base.metadata, Column("post_id", ForeignKey("posts.id"), primary_key=True),
                      Column("tag_id", ForeignKey("tags.id"), primary_key=True))

    class User(Base):
        __tablename__ = "users"
        id = Column(Integer, primary_key=True)
        email = Column(Text, unique=True)
        posts = relationship("Post", back_populates="user")

    class Post(Base):
        __tablename__ = "posts"
        id = Column(Integer, primary_key=True)
        user_id = Column(ForeignKey("users.id"))
        title = Column(Text)
        user = relationship("User", back_populates="posts")
        comments = relationship("Comment")
        tags = relationship("Tag", secondary=post_tags)

    class Comment(Base):
        __tablename__ = "comments"
        id = Column(Integer, primary_key=True)
        post_id = Column(ForeignKey("posts.id"))
        body = Column(Text)

    class Tag(Base):
        __tablename__ = "tags"
        id = Column(Integer, primary_key=True)
        name = Column(Text)


def engine(**options):
    return create_engine("postgresql+psycopg2:///" + DATABASE, **options)


def connection():
    return psycopg2.connect(dbname=DATABASE)


def asyncpg_arguments():
    return {"host": os.environ["PGHOST"], "port": int(os.environ["PGPORT"]), "user": os.environ["PGUSER"],
            "database": DATABASE}


#
# N+1
#

@uses(sqlalchemy, psycopg2)
def n1_lazy():
    """A page of users, and the posts of each, when they are looked at."""
    with Session(engine()) as session:
        for user in session.scalars(select(User).order_by(User.id).limit(30)):
            len(user.posts)


@uses(sqlalchemy, asyncpg)
def n1_lazy_asyncpg():
    """The same with an asynchronous session."""
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    def page(session):
        for user in session.scalars(select(User).order_by(User.id).limit(30)):
            len(user.posts)

    async def main():
        async_engine = create_async_engine("postgresql+asyncpg://", connect_args=asyncpg_arguments())
        async with AsyncSession(async_engine) as session:
            await session.run_sync(page)
        await async_engine.dispose()

    asyncio.run(main())


@uses(sqlalchemy, psycopg2)
def n1_association():
    """Posts, and the tags of each, through the association table."""
    with Session(engine()) as session:
        for post in session.scalars(select(Post).order_by(Post.id).limit(30)):
            len(post.tags)


@uses(sqlalchemy, psycopg2)
def n1_many_to_one():
    """Posts, and the author of each."""
    with Session(engine()) as session:
        for post in session.scalars(select(Post).order_by(Post.id).limit(30)):
            post.user.email


@uses(sqlalchemy, psycopg2)
def n1_nested():
    """A few users, their posts, and the comments on each."""
    with Session(engine()) as session:
        for user in session.scalars(select(User).order_by(User.id).limit(4)):
            for post in user.posts:
                len(post.comments)


@uses(asyncpg)
def n1_prepared():
    """A statement prepared once and executed for each row of a list, with
    parameters in both."""

    async def main():
        client = await asyncpg.connect(**asyncpg_arguments())
        async with client.transaction():
            rows = await client.fetch("SELECT id, email FROM users WHERE id <= $1 AND email <> $2", 25, "it's $1")
            lookup = await client.prepare("SELECT title FROM posts WHERE user_id = $1")
            for row in rows:
                await lookup.fetch(row["id"])
        await client.close()

    asyncio.run(main())


@uses(psycopg2)
def n1_autocommit():
    """Each statement on its own, without a transaction block."""
    client = connection()
    client.autocommit = True
    cursor = client.cursor()
    cursor.execute("SELECT id FROM users ORDER BY id LIMIT 20")
    for (id,) in cursor.fetchall():
        cursor.execute("SELECT title FROM posts WHERE user_id = %s", (id,))


@uses()
def n1_plpgsql():
    """A function with a loop and a lookup in it."""
    subprocess.run(["psql", "-X", "-q", "-d", DATABASE, "-c", "SELECT digest()"], check=True, capture_output=True)


@uses(sqlalchemy, psycopg2)
def n1_pooled():
    """Requests of several threads over two connections of a pool."""
    pool = engine(pool_size=2, max_overflow=0)

    def requests():
        for _ in range(3):
            with Session(pool) as session:
                for post in session.scalars(select(Post).order_by(Post.id).limit(15)):
                    len(post.comments)

    threads = [threading.Thread(target=requests) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


#
# Not N+1
#

@uses(sqlalchemy, psycopg2)
def ok_batches():
    """Everything loaded at once, in each of the ways that SQLAlchemy has, and
    in many small batches."""
    with Session(engine()) as session:
        for load in (selectinload, joinedload, subqueryload):
            for user in session.scalars(select(User).options(load(User.posts).joinedload(Post.comments))).unique():
                len(user.posts)
            for post in session.scalars(select(Post).options(load(Post.user), load(Post.tags))).unique():
                post.user.email
            session.expunge_all()
        ids = session.scalars(select(User.id)).all()
        for start in range(0, len(ids), 3):
            session.scalars(select(Post).where(Post.user_id.in_(ids[start:start + 3]))).all()


@uses(psycopg2)
def ok_uniqueness():
    """Checks before rows are inserted."""
    cursor = connection().cursor()
    cursor.execute("SELECT id, email FROM users")
    for id, email in cursor.fetchall():
        cursor.execute("SELECT 1 FROM users WHERE email = %s", (email + ".new",))
        cursor.execute("SELECT EXISTS (SELECT FROM users WHERE id = %s)", (id + 100000,))
        cursor.execute("INSERT INTO users VALUES (%s, %s)", (id + 100000, email + ".new"))


@uses(psycopg2)
def ok_hot_lookup():
    """The user of the session, looked up by every part of a page."""
    cursor = connection().cursor()
    cursor.execute("SELECT id, user_id FROM posts ORDER BY id LIMIT 20")
    user = cursor.fetchall()[0][1]
    for _ in range(100):
        cursor.execute("SELECT * FROM users WHERE id = %s", (user,))


@uses(psycopg2)
def ok_inserts():
    """A loop of inserts, whose foreign keys the server looks up."""
    cursor = connection().cursor()
    cursor.execute("SELECT id FROM users")
    for (id,) in cursor.fetchall():
        cursor.execute("INSERT INTO posts (id, user_id) VALUES (%s, %s)", (id + 100000, id))
        cursor.execute("UPDATE posts SET title = 'x' WHERE id = %s", (id + 100000,))
        cursor.execute("DELETE FROM posts WHERE id = %s", (id + 100000,))


@uses(psycopg2)
def ok_unrelated():
    """One connection, on which requests follow each other: a list of posts,
    then pages of single users and posts, each of which somebody asked for."""
    chosen = random.Random(1)
    for autocommit in (False, True):
        client = connection()
        client.autocommit = autocommit
        cursor = client.cursor()
        for _ in range(20):
            cursor.execute("SELECT p.*, u.email FROM posts p JOIN users u ON u.id = p.user_id ORDER BY p.id DESC LIMIT 20")
            client.commit()
            for _ in range(12):
                user = chosen.randint(1, 200)
                cursor.execute("SELECT * FROM users WHERE id = %s", (user,))
                cursor.execute("SELECT * FROM posts WHERE user_id = %s", (user,))
                client.commit()


@uses()
def ok_pgbench():
    """pgbench's own scripts, with foreign keys."""
    def pgbench(*arguments):
        subprocess.run(["pgbench", *arguments, DATABASE], check=True, capture_output=True)

    pgbench("-i", "-q", "--foreign-keys", "-s", "1")
    for protocol in ("simple", "extended", "prepared"):
        pgbench("-S", "-n", "-c", "2", "-t", "300", "-M", protocol)
        pgbench("-n", "-c", "2", "-t", "50", "-M", protocol)


if __name__ == "__main__":
    workload = globals()[sys.argv[1]]
    if None in workload.packages:
        sys.exit(77)
    workload()
