"""A project for the real Alembic, as its users have it: alembic.ini, env.py,
one file for each revision."""

import os

ENV = '''
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine("postgresql+psycopg2:///%(database)s", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
'''

REVISION = '''"""%(message)s"""
from alembic import op

revision = %(id)r
down_revision = %(parent)r
branch_labels = None
depends_on = None


def upgrade():
    %(upgrade)s


def downgrade():
    %(downgrade)s
'''


def write(folder, database, revisions):
    """Write the project.  "revisions": (id, parent or None, message, up, down);
    up and down are SQL, '' for nothing."""
    versions = os.path.join(folder, "versions")
    os.makedirs(versions)
    with open(os.path.join(folder, "alembic.ini"), "w") as ini:
        ini.write("[alembic]\nscript_location = %s\n" % folder)
    with open(os.path.join(folder, "env.py"), "w") as env:
        env.write(ENV % {"database": database})
    for id, parent, message, up, down in revisions:
        with open(os.path.join(versions, "%s_.py" % id), "w") as file:
            file.write(REVISION % {
                "id": id, "parent": parent, "message": message,
                "upgrade": "op.execute(%r)" % up if up else "pass",
                "downgrade": "op.execute(%r)" % down if down else "pass"})
