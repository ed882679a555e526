"""Random schemas as DDL, and what becomes of them.

A schema is a list of things in the order in which they can be created.  What a
thing says of another one is a reference: {7} stands for the quoted name of
thing 7, whatever that is at the time, and {7!} for the name without quotes in
a string.  A statement that refers to what is gone is left out, and so is, by
who runs the statements, one that the server refuses.
"""
import copy
import random
import re

PLAIN = ['users', 'posts', 'tags', 'items', 'orders', 'notes', 'files', 'rooms', 'mails', 'jobs', 'id', 'name', 'kind', 'a',
         'b', 'c', 'total', 'state', 'owner', 'made_at']
ODD = ['Order', 'select', 'a.b', 'with space', 'quo"te', "apo'strophe", 'ünïcödé', '日本語', '$dollar', '1digit', 'back\\slash',
       'per%cent', 'CamelCase', '--dash', '/*x*/', 'semi;colon', '$$', 'user', 'table', 'n' * 63, 'long_' * 12 + 'end',
       'ä' * 31, '(paren)', 'comma, name', ' leading', 'tab\tname', 'ARRAY[1]', '_x', 'PUBLIC ', 'a=b', '{1}'.replace('1', 'k')]
ROLES = ['gen_a', '"gen B"']

NUMBERS = ['integer', 'bigint', 'smallint', 'numeric(10,2)', 'numeric', 'double precision', 'real']
TEXTS = ['text', 'varchar(20)', 'varchar(60)', 'varchar', 'char(5)']
TIMES = ['date', 'timestamptz', 'timestamp(3)', 'timestamp', 'time', 'interval']
OTHERS = ['boolean', 'uuid', 'jsonb', 'json', 'bytea', 'inet', 'integer[]', 'text[]', 'int4range', 'tstzrange', 'daterange',
          'point', 'bit(3)', '"char"', 'money', 'tsvector', 'oid', 'name', 'xml', 'interval day to second', 'timestamptz(0)',
          'int4multirange', 'box', 'varchar(10)[]', 'numeric(5,1)[]']
LITERALS = {
    'boolean': ['true', 'false'], 'uuid': ['gen_random_uuid()'], 'jsonb': ["'{}'", "'{\"a\": [1, 2]}'"], 'json': ["'[]'"],
    'bytea': [r"'\x00ff'"], 'inet': ["'10.0.0.1'"], 'integer[]': ["'{}'", 'ARRAY[1, 2]'], 'text[]': ["'{}'", "ARRAY['a', 'b''c']"],
    'date': ['CURRENT_DATE', "'2020-02-29'"], 'timestamptz': ['now()', 'CURRENT_TIMESTAMP', "clock_timestamp()"],
    'timestamp': ['LOCALTIMESTAMP', "'2020-01-01 00:00'"], 'timestamp(3)': ['LOCALTIMESTAMP(3)'], 'time': ["'12:00'"],
    'interval': ["'1 day'"], 'int4range': ["'[1,5)'", "'empty'"], 'tstzrange': ['tstzrange(now(), NULL)'], 'point': ["'(1,2)'"],
    'bit(3)': ["B'101'"], 'money': ["'$1'"], 'name': ['CURRENT_USER', 'current_schema()'], 'daterange': ["'[2020-01-01,)'"],
    'tsvector': ["'a b'"], '"char"': ["'x'"], 'oid': ['0'],
}


def quote(name):
    return '"%s"' % name.replace('"', '""')


def literal(text):
    return ("E'%s'" % text.replace('\\', '\\\\').replace("'", "''")) if '\\' in text else "'%s'" % text.replace("'", "''")


class Thing:
    """kind, name, statements by name in .say, and .parts (columns)."""

    def __init__(self, schema, kind, name, **more):
        schema.count += 1
        self.id = schema.count
        self.kind = kind
        self.name = name
        self.old_name = None
        self.parts = []
        self.comment = None
        self.grants = []
        self.owner = None
        self.__dict__.update(more)

    @property
    def ref(self):
        return '{%d}' % self.id


class Schema:
    def __init__(self, rng, version):
        self.rng = rng
        self.version = version
        self.things = []
        self.count = 0
        self.names = set()
        self.owners = ''

    # choosing ----------------------------------------------------------------

    def chance(self, percent):
        return self.rng.random() * 100 < percent

    def one(self, items):
        return self.rng.choice(items)

    def some(self, items, least=0, most=3):
        items = list(items)
        count = min(len(items), self.rng.randint(least, most))
        return self.rng.sample(items, count)

    def of(self, *kinds, upto=None):
        things = self.things if upto is None else self.things[:upto]
        return [thing for thing in things if thing.kind in kinds]

    def new_name(self, taken=None):
        """A name that is used nowhere else, or not among those of a table."""
        used = self.names if taken is None else taken
        while True:
            name = self.one(ODD) if self.chance(14) else self.one(PLAIN)
            if name in used:
                name = (name[:59] if len(name.encode()) < 60 else name[:25]) + '%d' % self.rng.randint(1, 999)
            if taken is None and name in ('name', 'user') and not self.chance(5):
                continue
            if name not in used:
                used.add(name)
                return name

    # types and expressions ---------------------------------------------------

    def type(self, upto, plain=False):
        own = self.of('enum', 'domain', 'composite', 'range', upto=upto)
        if own and not plain and self.chance(25):
            return self.one(own).ref + ('[]' if self.chance(15) else '')
        if not plain and self.chance(2) and self.of('table', upto=upto):
            return self.one(self.of('table', upto=upto)).ref
        return self.one(self.rng.choices([NUMBERS, TEXTS, TIMES, OTHERS], [40, 30, 12, 18])[0])

    def constant(self, type, upto):
        if type.startswith('{') and not type.endswith('[]'):
            thing = self.find(int(type[1:-1]))
            if thing and thing.kind == 'enum' and thing.labels:
                return literal(self.one(thing.labels)) + ('::' + type if self.chance(50) else '')
            if thing and thing.kind == 'domain':
                return self.constant(thing.base, upto)
            return 'NULL'
        if type in NUMBERS:
            if self.chance(8) and self.of('sequence', upto=upto):
                return "nextval('%s'::regclass)" % self.one(self.of('sequence', upto=upto)).ref.replace('}', "'}")
            functions = [f for f in self.of('function', upto=upto) if f.flavour == 'int']
            if functions and self.chance(12):
                return '%s(%d)' % (self.one(functions).ref, self.rng.randint(0, 9))
            return self.one(['0', '1', '42', '(-7)', "length('abc')", '3 * (2 + 1)', "'5'"])
        if type in TEXTS:
            if type == 'char(5)':
                return self.one(["''", "'x'", "'it''s'", "'a;b'", 'NULL'])
            functions = [f for f in self.of('function', upto=upto) if f.flavour == 'text']
            if functions and self.chance(12):
                return "%s('x')" % self.one(functions).ref
            return self.one(["''", "'x'", "'it''s'", "'a;b'", "lower('ABC')", "'back\\slash'", "'a' || 'b'", "'$1'", "'{}'", 'NULL'])
        return self.one(LITERALS.get(type, ['NULL']))

    def find(self, id):
        for thing in self.things:
            if thing.id == id:
                return thing
            for part in thing.parts:
                if part.id == id:
                    return part
        return None

    def condition(self, columns, upto):
        """A boolean expression over some columns."""
        column = self.one(columns)
        functions = [f for f in self.of('function', upto=upto) if f.flavour == 'int' and f.immutable]
        if column.type in NUMBERS:
            options = ['%s > 0', '%s <> 7', '%s BETWEEN 1 AND 100', '%s IN (1, 2, 3)', '(%s + 1) * 2 > 4', '%s IS NOT NULL',
                       'NOT (%s < 0 OR %s > 1000)', 'abs(%s) < 1e6', 'CASE WHEN %s > 1 THEN true ELSE false END', '%s = ANY (ARRAY[1, 2])']
            if functions and column.type == 'integer' and self.chance(25):
                options = ['%s(%%s) > 0' % self.one(functions).ref]
        elif column.type in TEXTS:
            options = ["%s <> ''", "length(%s) > 2", "%s ~ '^[a-z]+$'", "%s LIKE 'a%%'", "lower(%s) = %s", "%s IN ('a', 'b;c')",
                       "%s COLLATE \"C\" > 'a'", "position('x' in %s) = 0"]
        elif column.type == 'boolean':
            options = ['%s', 'NOT %s', '%s IS TRUE']
        elif column.type in ('date', 'timestamp', 'timestamptz'):
            options = ["%s > '2000-01-01'", 'extract(year FROM %s) > 1999']
        elif column.type in ('jsonb',):
            options = ["%s ? 'a'", "%s @> '{}'"]
        else:
            options = ['%s IS NOT NULL', '%s IS NULL']
        text = self.one(options)
        text = text % ((column.ref,) * text.count('%s'))
        if self.chance(25) and len(columns) > 1:
            other = self.one([c for c in columns if c is not column])
            text = '(%s) %s %s IS %sNULL' % (text, self.one(['AND', 'OR']), other.ref, self.one(['', 'NOT ']))
        return text

    # things ------------------------------------------------------------------

    def roll(self, kind, upto=None):
        """A new thing of a kind, or None if what it needs is not there."""
        upto = len(self.things) if upto is None else upto
        thing = Thing(self, kind, None)
        if getattr(self, 'roll_' + kind)(thing, upto) is False:
            return None
        thing.name = thing.name or self.new_name()
        self.dress(thing)
        return thing

    def dress(self, thing):
        if self.chance(15):
            thing.comment = self.one(['a comment', "it's", 'two\nlines', 'semi;\n\ncolon', 'ünï', "back\\slash", '-- @x', '$$ $1'])
        if self.chance(12):
            thing.owner = self.one(ROLES)
        thing.grants = self.roll_grants(thing) if self.chance(15) else []

    def roll_grants(self, thing):
        words = {'table': ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'ALL'], 'view': ['SELECT', 'INSERT'],
                 'matview': ['SELECT'], 'sequence': ['USAGE', 'SELECT', 'UPDATE'], 'function': ['EXECUTE'], 'procedure': ['EXECUTE'],
                 'aggregate': ['EXECUTE'], 'enum': ['USAGE'], 'domain': ['USAGE'], 'composite': ['USAGE'], 'range': ['USAGE'],
                 'column': ['SELECT', 'UPDATE', 'INSERT', 'REFERENCES']}.get(thing.kind)
        grants = []
        if self.version >= 17 and thing.kind == 'table':
            words = words + ['MAINTAIN']
        for _ in range(self.rng.randint(1, 2) if words else 0):
            role = self.one(ROLES + ['PUBLIC'])
            if self.chance(25) and thing.kind != 'column':
                grants.append(('REVOKE', self.one(words + ['ALL']), self.one(['PUBLIC', 'CURRENT_USER'] + ROLES), ''))
            else:
                grants.append(('GRANT', self.one(words), role, ' WITH GRANT OPTION' if role != 'PUBLIC' and self.chance(20) else ''))
        return grants

    def roll_enum(self, thing, upto):
        thing.labels = self.some(['new', 'open', 'done', "it's", 'a, b', 'Ünï', '', 'x"y', 'back\\slash', 'sad', 'ok', 'fine'], 1, 5)

    def roll_composite(self, thing, upto):
        taken = set()
        thing.parts = [Thing(self, 'field', self.new_name(taken), type=self.type(upto)) for _ in range(self.rng.randint(1, 3))]

    def roll_domain(self, thing, upto):
        thing.base = self.type(upto, plain=self.chance(85))
        thing.default = self.constant(thing.base, upto) if self.chance(30) else None
        thing.not_null = self.chance(20)
        value = Thing(self, 'column', 'VALUE', type=thing.base)
        self.count -= 1
        thing.checks = []
        taken = set()
        for _ in range(self.rng.choices([0, 1, 2], [50, 35, 15])[0]):
            thing.checks.append((self.new_name(taken) if self.chance(60) else None,
                                 self.condition([value], upto).replace(value.ref, 'VALUE')))
        thing.collation = '"C"' if thing.base in TEXTS and self.chance(10) else None

    def roll_range(self, thing, upto):
        thing.subtype = self.one(['float8', 'numeric', 'text', 'timestamptz', 'integer', 'inet', 'time'])
        thing.rest = []
        if thing.subtype == 'float8' and self.chance(50):
            thing.rest.append('SUBTYPE_DIFF = float8mi')
        if thing.subtype == 'text' and self.chance(40):
            thing.rest.append('COLLATION = "C"')
        if self.chance(30):
            thing.rest.append('MULTIRANGE_TYPE_NAME = ' + quote(self.new_name()))

    def roll_collation(self, thing, upto):
        thing.text = self.one(['(provider = icu, locale = \'de-u-co-phonebk\')', '(provider = icu, locale = \'und\', deterministic = false)',
                               "(locale = 'C')", "(lc_collate = 'C', lc_ctype = 'C')", 'FROM "C"', "(provider = icu, locale = 'en-u-kn')"])

    def roll_sequence(self, thing, upto):
        thing.type = self.one(['', '', ' AS integer', ' AS smallint'])
        thing.options = self.some([' INCREMENT BY %d' % self.one([2, 5, 1]), ' MINVALUE 1', ' START WITH 10', ' CACHE 20', ' CYCLE', ' MAXVALUE 1000'], 0, 2)
        if self.chance(8):
            thing.options = [' INCREMENT BY -1', ' MAXVALUE -1', ' START WITH -5']
        thing.unlogged = self.chance(8)
        thing.owned_by = None
        tables = self.of('table')
        if tables and self.chance(30):
            table = self.one(tables)
            thing.owned_by = '%s.%s' % (table.ref, self.one(table.parts).ref) if table.parts else None

    def roll_function(self, thing, upto):
        thing.flavour = self.one(['int', 'text', 'trigger', 'table', 'setof', 'out', 'void', 'poly'])
        thing.immutable = thing.flavour in ('int', 'text') and self.chance(60)
        tables = self.of('table', 'view', upto=upto)
        extras = self.some(['STRICT', 'SECURITY DEFINER', 'PARALLEL SAFE', 'COST 7', 'LEAKPROOF', "SET work_mem = '1MB'", 'SET search_path = pg_catalog',
                            "SET search_path TO 'a b', \"C\"", "SET datestyle TO iso, dmy"], 0, 1)
        extras.append('IMMUTABLE' if thing.immutable else self.one(['VOLATILE', 'STABLE', '']))
        thing.extras = ' '.join(extras)
        number = self.rng.randint(0, 99)
        if thing.flavour == 'int':
            thing.arguments = '(x integer%s)' % self.one(['', '', ', y integer DEFAULT %d' % number])
            thing.returns = 'integer'
            thing.body = self.one(["LANGUAGE sql AS 'SELECT x + %d'" % number, 'LANGUAGE sql RETURN x + %d' % number,
                                   'LANGUAGE plpgsql AS $f$BEGIN\n  RETURN x * %d;\n\nEND$f$' % number,
                                   'LANGUAGE sql BEGIN ATOMIC SELECT x - %d; END' % number])
            if tables and not thing.immutable and self.chance(40):
                thing.body = 'LANGUAGE sql %s' % self.one(["AS $f$SELECT count(*)::int + x FROM %s$f$", 'RETURN (SELECT count(*)::int + x FROM %s)',
                                                           'BEGIN ATOMIC SELECT count(*)::int + x FROM %s; END']) % self.one(tables).ref
        elif thing.flavour == 'text':
            thing.arguments = '(t text%s)' % self.one(['', '', ', VARIADIC more text[]', ", sep text DEFAULT ','"])
            thing.returns = 'text'
            thing.body = self.one(["LANGUAGE sql AS 'SELECT t || ''%d'''" % number, "LANGUAGE sql RETURN t || '%d'" % number])
        elif thing.flavour == 'trigger':
            thing.arguments = '()'
            thing.returns = 'trigger'
            thing.body = 'LANGUAGE plpgsql AS $f$BEGIN PERFORM %d; RETURN new; END$f$' % number
        elif thing.flavour == 'table':
            thing.arguments = '(n integer)'
            thing.returns = 'TABLE (a integer, "B b" %s)' % self.type(upto)
            thing.body = 'LANGUAGE plpgsql AS $f$BEGIN RETURN; END$f$'
        elif thing.flavour == 'setof':
            if not tables:
                return False
            table = self.one(tables)
            thing.arguments = self.one(['()', '(r %s)' % table.ref])
            thing.returns = 'SETOF ' + table.ref
            thing.body = "LANGUAGE sql AS $f$SELECT * FROM %s$f$" % table.ref
            thing.extras += ' ROWS %d' % (number + 1)
        elif thing.flavour == 'out':
            thing.arguments = '(IN a %s, OUT b integer, INOUT c text DEFAULT NULL)' % self.type(upto)
            thing.arguments = thing.arguments.replace('IN a', self.one(['IN a', 'a'])).replace(' DEFAULT NULL', '')
            thing.returns = None
            thing.body = 'LANGUAGE plpgsql AS $f$BEGIN b := %d; END$f$' % number
        elif thing.flavour == 'void':
            thing.arguments = '(a %s DEFAULT NULL, b %s DEFAULT NULL)' % (self.type(upto), self.type(upto))
            thing.returns = 'void'
            thing.body = "LANGUAGE plpgsql AS 'BEGIN END'"
        else:
            thing.arguments = '(anyelement)'
            thing.returns = 'anyelement'
            thing.body = "LANGUAGE sql AS 'SELECT $1'"

    def roll_procedure(self, thing, upto):
        thing.arguments = '(%s)' % self.one(['', 'a integer', 'INOUT a text', 'a %s, b text' % self.type(upto)])
        thing.body = self.one(["LANGUAGE plpgsql AS 'BEGIN END'", "LANGUAGE sql AS 'SELECT %d'" % self.rng.randint(0, 99),
                               "LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '2MB' AS 'BEGIN COMMIT; END'"])

    def roll_aggregate(self, thing, upto):
        functions = [f for f in self.of('function', upto=upto) if f.flavour == 'int' and f.arguments.count('integer') == 2]
        if functions and self.chance(60):
            thing.text = '(integer) (SFUNC = %s, STYPE = integer%s)' % (self.one(functions).ref, self.one(['', ", INITCOND = '3'", ', PARALLEL = SAFE']))
        else:
            thing.text = self.one(["(integer) (SFUNC = int4pl, STYPE = integer%s)" % self.one(['', ", INITCOND = '7'", ', COMBINEFUNC = int4pl', ', SORTOP = <']),
                                   "(float8) (SFUNC = float8_accum, STYPE = float8[], FINALFUNC = float8_avg, INITCOND = '{0,0,0}')",
                                   "(*) (SFUNC = int8inc, STYPE = bigint, INITCOND = '0', MSFUNC = int8inc, MINVFUNC = int8dec, MSTYPE = bigint, MINITCOND = '0')",
                                   "(integer ORDER BY integer) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA)"])

    def roll_column(self, table, upto, taken):
        column = Thing(self, 'column', self.new_name(taken), type=self.type(upto))
        column.default = column.generated = column.identity = column.collation = column.compression = None
        column.not_null = self.chance(25)
        column.settings = {}
        kind = self.rng.random()
        if column.type in ('integer', 'bigint', 'smallint') and kind < 0.12:
            column.identity = 'GENERATED %s AS IDENTITY%s' % (self.one(['ALWAYS', 'BY DEFAULT']),
                                                               self.one(['', '', ' (START WITH 5 INCREMENT BY 2)', ' (SEQUENCE NAME %s CACHE 3)' % quote(self.new_name())]))
        elif column.type in ('integer', 'bigint', 'smallint') and kind < 0.2:
            column.type = {'integer': 'serial', 'bigint': 'bigserial', 'smallint': 'smallserial'}[column.type]
        elif kind < 0.45:
            column.default = self.constant(column.type, upto)
        elif kind < 0.53:
            sources = [c for c in table.parts if c.generated is None and c.type in NUMBERS + TEXTS]
            if sources:
                source = self.one(sources)
                column.type = source.type
                column.generated = self.one(['%s', '%s + 1', '%s * 2'] if source.type in NUMBERS else ['lower(%s)', "%s || 'x'"]) % source.ref
                column.generated += ' VIRTUAL' if False else ''
                column.virtual = self.version >= 18 and self.chance(50)
        if column.type in TEXTS and self.chance(12):
            own = self.of('collation', upto=upto)
            column.collation = self.one(own).ref if own and self.chance(60) else self.one(['"C"', '"POSIX"'])
        if column.type in ('text', 'jsonb', 'bytea', 'varchar') and self.chance(8):
            column.compression = 'pglz'
        if self.chance(8):
            column.settings['STATISTICS'] = self.one(['10', '500', '0'])
        if self.chance(8) and column.type in TEXTS + ['jsonb', 'bytea', 'numeric']:
            column.settings['STORAGE'] = self.one(['EXTERNAL', 'MAIN', 'EXTENDED', 'PLAIN'])
        if self.chance(4):
            column.settings[''] = self.one(['(n_distinct = 5)', '(n_distinct = -0.5, n_distinct_inherited = 3)'])
        if self.chance(10):
            column.comment = 'column ' + self.one(["it's", 'x', 'ü'])
        if self.chance(7):
            column.grants = self.roll_grants(column)
        return column

    def roll_table(self, thing, upto):
        thing.parents = []
        thing.partition_by = None
        thing.part_of = None
        thing.of_type = None
        thing.bound = None
        thing.overrides = []
        thing.unlogged = self.chance(7)
        thing.options = self.one(['fillfactor=70', 'autovacuum_enabled=false', 'fillfactor=90, autovacuum_vacuum_scale_factor=0.3',
                                  'toast.autovacuum_enabled=false', "parallel_workers='2'"]) if self.chance(12) else None
        thing.rls = self.one(['ENABLE', 'FORCE', 'BOTH']) if self.chance(12) else None
        thing.replica = self.one(['FULL', 'NOTHING']) if self.chance(6) else None
        taken = set()
        tables = [t for t in self.of('table', upto=upto) if not t.part_of and not t.of_type]
        partitioned = [t for t in tables if t.partition_by]
        if partitioned and self.chance(35):
            thing.part_of = self.one(partitioned).ref
            number = self.rng.randint(1, 90)
            parent = self.find(int(thing.part_of[1:-1]))
            parent.bounds = getattr(parent, 'bounds', 0) + 1
            number = parent.bounds * 10
            thing.bound = {'LIST': self.one(['FOR VALUES IN (%d)', 'FOR VALUES IN (%d, NULL)']) % number, 'RANG': 'FOR VALUES FROM (%d) TO (%d)' % (number, number + 5),
                           'HASH': 'FOR VALUES WITH (MODULUS 16, REMAINDER %d)' % (parent.bounds % 16)}[parent.partition_by[:4]]
            if self.chance(15) and parent.partition_by[0] != 'H':
                thing.bound = 'DEFAULT'
            thing.overrides = []
            for column in self.some(parent.parts, 0, 1):
                if column.generated is None and column.identity is None:
                    thing.overrides.append('%s %s' % (column.ref, self.one(['NOT NULL', 'DEFAULT %s' % self.constant(column.type, upto)])))
            if self.chance(10) and parent.parts:
                thing.partition_by = 'LIST (%s)' % self.one(parent.parts).ref
            thing.unlogged = False
            return
        if tables and self.chance(12):
            thing.parents = [t.ref for t in self.some([t for t in tables if not t.partition_by], 1, 2)]
            for ref in thing.parents:
                taken |= {c.name for c in self.find(int(ref[1:-1])).parts}
        for _ in range(self.rng.randint(0 if self.chance(5) or thing.parents else 1, 6)):
            thing.parts.append(self.roll_column(thing, upto, taken))
        keys = [c for c in thing.parts if c.type in ('integer', 'bigint', 'smallint') and not c.generated and not c.identity]
        if keys and not thing.parents and self.chance(18):
            thing.partition_by = self.one(['LIST (%s)', 'RANGE (%s)', 'HASH (%s)']) % self.one(keys).ref
            thing.unlogged = False
            thing.replica = thing.options = None
        if not thing.parents and not thing.partition_by and self.chance(4):
            types = self.of('composite', upto=upto)
            if types:
                thing.of_type = self.one(types).ref
                thing.parts = []

    # parts of tables that are things of their own

    def table_of(self, upto, kinds=('table',)):
        tables = [t for t in self.of(*kinds, upto=upto) if self.columns(t)]
        return self.one(tables) if tables else None

    def columns(self, table):
        """Those that the table has, its parents' included."""
        columns = list(table.parts)
        for ref in list(getattr(table, 'parents', [])) + ([table.part_of] if getattr(table, 'part_of', None) else []):
            parent = self.find(int(ref[1:-1]))
            if parent:
                columns += self.columns(parent)
        return columns

    def keys(self, table):
        plain = [c for c in self.columns(table) if c.type in NUMBERS + TEXTS + ['date', 'uuid', 'timestamptz', 'serial', 'bigserial', 'smallserial']
                 or c.type.startswith('{') and not c.type.endswith(']') and self.find(int(c.type[1:-1])) and self.find(int(c.type[1:-1])).kind == 'enum']
        return plain

    def roll_key(self, thing, upto):
        table = self.table_of(upto)
        keys = self.keys(table) if table else []
        if not keys:
            return False
        thing.table = table.ref
        columns = self.some(keys, 1, 2)
        if table.partition_by:
            match = re.search(r'\{(\d+)\}', table.partition_by)
            key = [c for c in keys if str(c.id) == match.group(1)]
            columns = key + [c for c in columns if c not in key]
        thing.text = '%s (%s)' % (self.one(['PRIMARY KEY', 'UNIQUE', 'UNIQUE NULLS NOT DISTINCT' if self.version >= 15 else 'UNIQUE']), ', '.join(c.ref for c in columns))
        rest = [c for c in self.columns(table) if c not in columns and not getattr(c, 'virtual', False)]
        if rest and self.chance(10):
            thing.text += ' INCLUDE (%s)' % self.one(rest).ref
        if self.chance(8):
            thing.text += ' WITH (fillfactor=80)'
        thing.text += self.one(['', '', '', '', ' DEFERRABLE', ' DEFERRABLE INITIALLY DEFERRED'])
        thing.unnamed = self.chance(50)
        thing.clustered = self.chance(5)
        thing.replica = self.chance(5)
        if self.version >= 18 and self.chance(15):
            ranges = [c for c in self.columns(table) if c.type in ('int4range', 'tstzrange', 'daterange')]
            if ranges:
                thing.text = '%s (%s, %s WITHOUT OVERLAPS)' % (self.one(['PRIMARY KEY', 'UNIQUE']), columns[0].ref, ranges[0].ref)
        thing.key = (table.ref, [c.ref for c in columns])
        # the server numbers the names that its indexes have on partitions
        if table.partition_by and any(set(re.findall(r'\{\d+\}', other.text)) & {c.ref for c in columns}
                                      for other in self.of('key', 'index') if other.table == table.ref):
            return False

    def roll_check(self, thing, upto):
        table = self.table_of(upto)
        if not table:
            return False
        thing.table = table.ref
        thing.text = 'CHECK (%s)' % self.condition(self.columns(table), upto)
        thing.text += self.one(['', '', '', '', ' NO INHERIT', ' NOT VALID'] + ([' NOT ENFORCED'] if self.version >= 18 else []))
        # a partition that is made later has a valid copy, and one that is there already has not
        if table.partition_by:
            thing.text = thing.text.replace(' NOT VALID', '')
        thing.unnamed = self.chance(40)

    def roll_exclude(self, thing, upto):
        table = self.table_of(upto)
        if not table:
            return False
        thing.table = table.ref
        columns = self.columns(table)
        ranges = [c for c in columns if c.type in ('int4range', 'tstzrange', 'daterange', 'inet', 'box')]
        if ranges:
            thing.text = 'EXCLUDE USING gist (%s%s WITH &&)' % (self.one(ranges).ref, ' inet_ops' if False else '')
        else:
            thing.text = 'EXCLUDE (%s WITH =)' % self.one(columns).ref
        if self.chance(30):
            thing.text += ' WHERE (%s)' % self.condition(columns, upto)
        thing.text += self.one(['', '', ' DEFERRABLE'])
        thing.unnamed = self.chance(40)

    def roll_foreign(self, thing, upto):
        keys = self.of('key', upto=upto)
        table = self.table_of(upto)
        if not keys or not table:
            return False
        key = self.one(keys)
        target = self.find(int(key.key[0][1:-1]))
        if target is None:
            return False
        columns = []
        for ref in key.key[1]:
            column = self.find(int(ref[1:-1]))
            type = column.type.replace('serial', 'int').replace('smallint', 'smallint').replace('bigint', 'bigint') if column else ''
            type = {'int': 'integer', 'bigint': 'bigint'}.get(type, type)
            fitting = [c for c in self.columns(table) if {'serial': 'integer', 'bigserial': 'bigint', 'smallserial': 'smallint'}.get(c.type, c.type) == type
                       and c not in columns and not getattr(c, 'virtual', False)]
            if not fitting:
                return False
            columns.append(self.one(fitting))
        thing.table = table.ref
        thing.text = 'FOREIGN KEY (%s) REFERENCES %s (%s)' % (', '.join(c.ref for c in columns), key.key[0], ', '.join(key.key[1]))
        thing.text += self.one(['', '', '', ' MATCH FULL'])
        thing.text += self.one(['', '', ' ON DELETE CASCADE', ' ON DELETE SET NULL', ' ON DELETE SET DEFAULT (%s)' % columns[0].ref, ' ON UPDATE CASCADE ON DELETE RESTRICT'])
        thing.text += self.one(['', '', '', ' DEFERRABLE', ' DEFERRABLE INITIALLY DEFERRED'])
        thing.text += self.one(['', '', '', '', ' NOT VALID'] + ([' NOT ENFORCED'] if self.version >= 18 else []))
        thing.unnamed = self.chance(50)

    def roll_index(self, thing, upto):
        table = self.table_of(upto, ('table', 'table', 'table', 'matview'))
        if not table:
            return False
        thing.table = table.ref
        columns = [c for c in self.columns(table) if not getattr(c, 'virtual', False)]
        keys = [c for c in (self.keys(table) if table.kind == 'table' else columns) if not getattr(c, 'virtual', False)]
        thing.unique = ''
        thing.settings = []
        texts = [c for c in keys if c.type in TEXTS]
        method = self.one(['btree'] * 6 + ['hash', 'gin', 'gist', 'brin', 'spgist'])
        if method == 'btree':
            if not keys:
                return False
            items = []
            for column in self.some(keys, 1, 3):
                item = column.ref
                if column.type in TEXTS and self.chance(25):
                    item = self.one(['lower(%s)', "(%s || 'x')", '%s text_pattern_ops', '%s COLLATE "C"', '%s COLLATE "C" DESC']) % item
                elif column.type in NUMBERS and self.chance(20):
                    item = self.one(['(%s + 1)', '(-%s)', 'abs(%s)']) % item
                    if self.chance(30):
                        thing.settings.append(len(items) + 1)
                items.append(item + self.one(['', '', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST']))
            thing.text = 'USING btree (%s)' % ', '.join(items)
            thing.unique = 'UNIQUE ' if self.chance(20) and not getattr(table, 'partition_by', None) else ''
            if self.chance(12) and columns:
                thing.text += ' INCLUDE (%s)' % self.one(columns).ref
            if thing.unique and self.chance(25):
                thing.text += ' NULLS NOT DISTINCT'
        elif method == 'hash':
            if not keys:
                return False
            thing.text = 'USING hash (%s)' % self.one(keys).ref
        elif method == 'brin':
            if not keys:
                return False
            thing.text = 'USING brin (%s)' % self.one(keys).ref
        else:
            fitting = [c for c in columns if c.type in {'gin': ('jsonb', 'integer[]', 'text[]', 'tsvector'), 'gist': ('int4range', 'tstzrange', 'point', 'box'),
                                                         'spgist': ('text', 'point', 'int4range', 'inet')}[method]]
            if not fitting:
                return False
            column = self.one(fitting)
            thing.text = 'USING %s (%s%s)' % (method, column.ref, ' jsonb_path_ops' if column.type == 'jsonb' and self.chance(40) else '')
        if getattr(table, 'partition_by', None) and any(set(re.findall(r'\{\d+\}', other.text)) & set(re.findall(r'\{\d+\}', thing.text))
                                                        for other in self.of('key', 'index') if other.table == table.ref):
            return False
        if method == 'btree' and self.chance(10):
            thing.text += ' WITH (fillfactor=%d)' % self.rng.randint(50, 99)
        if method == 'brin' and self.chance(30):
            thing.text += ' WITH (pages_per_range=32)'
        if self.chance(15) and columns:
            thing.text += ' WHERE %s' % self.condition(columns, upto)
        thing.unnamed = self.chance(30)
        thing.clustered = method == 'btree' and self.chance(5)
        thing.only = self.chance(3)

    def roll_statistics(self, thing, upto):
        table = self.table_of(upto)
        keys = [c for c in (self.keys(table) if table else []) if not getattr(c, 'virtual', False)]
        if len(keys) < 2:
            return False
        columns = self.rng.sample(keys, 2)
        items = [c.ref for c in columns]
        if columns[0].type in NUMBERS and self.chance(30):
            items[0] = '(%s + 1)' % items[0]
        thing.table = table.ref
        thing.text = '%sON %s' % (self.one(['', '(ndistinct) ', '(dependencies, mcv) ']), ', '.join(items))
        thing.target = self.rng.randint(1, 99) if self.chance(30) else None

    def roll_view(self, thing, upto):
        sources = [t for t in self.of('table', 'view', 'matview', upto=upto) if self.columns(t)]
        if not sources:
            return False
        source = self.one(sources)
        columns = self.some(self.columns(source), 1, 4)
        taken = set()
        thing.parts = []
        items = []
        for column in columns:
            part = Thing(self, 'column', self.new_name(taken) if self.chance(20) or column.name in taken else column.name, type=column.type, default=None, generated=None, identity=None)
            if column.type.endswith('serial'):
                part.type = {'serial': 'integer', 'bigserial': 'bigint', 'smallserial': 'smallint'}[column.type]
            taken.add(part.name)
            item = 's.' + column.ref
            if self.chance(15):
                part.type = 'text' if column.type in TEXTS else column.type
                item = self.one(['lower(%s)', "coalesce(%s, 'x')"] if column.type in TEXTS else ['%s + 1', 'abs(%s)'] if column.type in NUMBERS else ['%s']) % item
            thing.parts.append(part)
            items.append('%s AS %s' % (item, part.ref))
        rest = ''
        form = self.rng.random()
        if form < 0.3:
            rest = ' WHERE ' + self.condition(columns, upto)
        elif form < 0.45:
            other = self.one(sources)
            rest = ' %s JOIN %s AS o ON true' % (self.one(['CROSS', 'LEFT', 'INNER']), other.ref)
            rest = rest.replace('CROSS JOIN %s AS o ON true' % other.ref, 'CROSS JOIN %s AS o' % other.ref)
        elif form < 0.55:
            rest = ' GROUP BY ' + ', '.join(str(i + 1) for i in range(len(items)))
            part = Thing(self, 'column', self.new_name(taken), type='bigint', default=None, generated=None, identity=None)
            thing.parts.append(part)
            items.append('count(*) AS %s' % part.ref)
        elif form < 0.62:
            rest = ' ORDER BY 1 LIMIT %d' % self.rng.randint(1, 9)
        elif form < 0.7:
            rest = ' WHERE EXISTS (SELECT 1 FROM %s AS x)' % self.one(sources).ref
        elif form < 0.76:
            rest = ' UNION ALL SELECT %s FROM %s AS s' % (', '.join(re.sub(r' AS \{\d+\}$', '', item) for item in items), source.ref)
        functions = [f for f in self.of('function', upto=upto) if f.flavour in ('int', 'text')]
        if functions and self.chance(15) and form >= 0.76:
            function = self.one(functions)
            part = Thing(self, 'column', self.new_name(taken), type='integer' if function.flavour == 'int' else 'text', default=None, generated=None, identity=None)
            thing.parts.append(part)
            items.append("%s(%s) AS %s" % (function.ref, '4' if function.flavour == 'int' else "'x'", part.ref))
        if self.chance(6) and source.kind == 'table' and form >= 0.76:
            items.append('s AS whole')
        thing.text = 'SELECT %s FROM %s AS s%s' % (', '.join(items), source.ref, rest)
        if thing.kind == 'view':
            thing.options = self.one(['security_barrier=true', 'security_barrier', 'security_invoker=true', "check_option='local'", 'check_option=cascaded']) if self.chance(15) else None
            thing.column_default = '%s SET DEFAULT %s' % (thing.parts[0].ref, 'NULL') if False else None
        else:
            thing.options = 'fillfactor=60' if self.chance(10) else None
            thing.empty = self.chance(25)

    roll_matview = roll_view

    def roll_trigger(self, thing, upto):
        functions = [f for f in self.of('function', upto=upto) if f.flavour == 'trigger']
        table = self.table_of(upto, ('table', 'table', 'view'))
        if not functions or not table:
            return False
        columns = self.columns(table)
        thing.table = table.ref
        events = self.some(['INSERT', 'UPDATE', 'DELETE'], 1, 3)
        if 'UPDATE' in events and self.chance(25) and table.kind == 'table':
            events[events.index('UPDATE')] = 'UPDATE OF ' + self.one(columns).ref
        level = self.one(['ROW', 'STATEMENT'])
        thing.constraint = ''
        thing.middle = ''
        if table.kind == 'view':
            thing.timing, level = 'INSTEAD OF', 'ROW'
        else:
            thing.timing = self.one(['BEFORE', 'AFTER'])
            if thing.timing == 'AFTER' and level == 'ROW' and self.chance(25) and not table.partition_by:
                thing.constraint = 'CONSTRAINT '
                thing.middle = self.one(['', ' DEFERRABLE', ' DEFERRABLE INITIALLY DEFERRED'])
            elif thing.timing == 'AFTER' and len(events) == 1 and events[0] == 'UPDATE' and not table.partition_by and not table.part_of and not table.parents:
                thing.middle = ' REFERENCING OLD TABLE AS o NEW TABLE AS "n n"'
        thing.events = ' OR '.join(events)
        thing.level = level
        thing.when = ''
        if level == 'ROW' and table.kind == 'table' and self.chance(20) and events == ['UPDATE']:
            thing.when = ' WHEN (old.%s IS DISTINCT FROM new.%s)' % ((self.one(columns).ref,) * 2)
        thing.function = self.one(functions).ref
        thing.arguments = self.one(['()', '()', "('x', 'it''s')"])
        thing.enabled = self.one(['DISABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA']) if self.chance(15) and table.kind == 'table' else None

    def roll_rule(self, thing, upto):
        table = self.table_of(upto, ('table', 'view'))
        if not table:
            return False
        thing.table = table.ref
        other = self.table_of(upto)
        column = self.one(self.columns(other)) if other else None
        actions = ['INSTEAD NOTHING', 'ALSO NOTIFY changed']
        if column is not None and other is not table:
            actions += ['ALSO INSERT INTO %s (%s) VALUES (NULL)' % (other.ref, column.ref), 'ALSO DELETE FROM %s WHERE %s IS NULL' % (other.ref, column.ref),
                        'INSTEAD UPDATE %s SET %s = NULL' % (other.ref, column.ref)]
        thing.text = '{} TO %s %sDO %s'
        thing.event = self.one(['INSERT', 'UPDATE', 'DELETE'])
        thing.where = ''
        if thing.event != 'INSERT' and self.chance(20):
            thing.where = 'WHERE old.%s IS NULL ' % self.one(self.columns(table)).ref
        thing.action = self.one(actions)
        thing.enabled = 'DISABLE' if self.chance(8) and table.kind == 'table' else None

    def roll_policy(self, thing, upto):
        table = self.table_of(upto)
        if not table:
            return False
        thing.table = table.ref
        command = self.one(['ALL', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'])
        columns = self.columns(table)
        thing.text = '%sFOR %s TO %s' % (self.one(['', '', 'AS RESTRICTIVE ']), command, self.one(['PUBLIC', 'gen_a', '"gen B", gen_a', 'CURRENT_USER']))
        condition = self.condition(columns, upto)
        others = self.of('table', 'view', upto=upto)
        if self.chance(20) and others:
            condition = 'EXISTS (SELECT 1 FROM %s AS x)' % self.one(others).ref
        if command != 'INSERT':
            thing.text += ' USING (%s)' % condition
        if command in ('INSERT', 'UPDATE', 'ALL') and self.chance(50) or command == 'INSERT':
            thing.text += ' WITH CHECK (%s)' % self.condition(columns, upto)

    # making ------------------------------------------------------------------

    def fill(self, size):
        kinds = (['table'] * 9 + ['enum'] * 3 + ['composite', 'domain', 'domain', 'range', 'collation', 'sequence', 'sequence'] + ['function'] * 5 +
                 ['procedure', 'aggregate'] + ['key'] * 6 + ['check'] * 4 + ['exclude'] + ['foreign'] * 5 + ['index'] * 6 + ['statistics'] +
                 ['view'] * 5 + ['matview'] * 2 + ['trigger'] * 3 + ['rule'] + ['policy'] * 2)
        misses = 0
        while len(self.things) < size and misses < 100:
            kind = self.one(kinds) if len(self.things) > 3 else self.one(['table', 'enum', 'domain', 'function', 'table'])
            thing = self.roll(kind)
            if thing is None:
                misses += 1
            else:
                self.things.append(thing)
        return self

    def copy(self, rng):
        other = copy.copy(self)
        other.rng = rng
        other.things = copy.deepcopy(self.things)
        other.names = set(self.names)
        return other

    # mutations ---------------------------------------------------------------

    def mutate(self, count):
        for _ in range(count):
            self.one([self.add, self.drop, self.change, self.change, self.change, self.alter, self.alter, self.alter, self.alter_column, self.alter_column,
                      self.alter_column, self.rename, self.rename, self.rename_column, self.shuffle, self.redress, self.redress, self.add_column, self.drop_column,
                      self.alter_enum, self.alter_field])()

    def add(self):
        thing = self.roll(self.one(['table', 'enum', 'domain', 'composite', 'range', 'collation', 'sequence', 'function', 'procedure', 'aggregate', 'key', 'check', 'exclude',
                                    'foreign', 'index', 'statistics', 'view', 'matview', 'trigger', 'rule', 'policy', 'index', 'foreign', 'view', 'table', 'key']))
        if thing:
            self.things.append(thing)

    def drop(self):
        if self.things:
            self.things.remove(self.one(self.things))

    def change(self):
        """Another thing of that kind under that name, with the references to it."""
        if not self.things:
            return
        at = self.rng.randrange(len(self.things))
        old = self.things[at]
        if old.kind == 'table':
            return
        new = self.roll(old.kind, at)
        if new is None:
            return
        new.id, new.name = old.id, old.name
        if old.kind in ('view', 'matview', 'composite'):
            for part, former in zip(new.parts, old.parts):
                new.text = getattr(new, 'text', '').replace(part.ref, former.ref)
                part.id = former.id
                if self.chance(60):
                    part.name = former.name
        if old.kind in ('key', 'check', 'exclude', 'foreign', 'index', 'trigger', 'rule', 'policy', 'statistics') and self.chance(60) and new.table != old.table:
            return
        if self.chance(50):
            new.comment, new.owner, new.grants = old.comment, old.owner, old.grants
        self.things[at] = new

    def alter(self):
        """One attribute of a thing, as another of that kind has it."""
        if not self.things:
            return
        at = self.rng.randrange(len(self.things))
        old = self.things[at]
        new = self.roll(old.kind, at)
        if new is None:
            return
        names = [name for name in vars(old) if name in vars(new) and name not in ('id', 'kind', 'name', 'old_name', 'parts', 'table', 'key', 'bounds') and vars(old)[name] != vars(new)[name]]
        if old.kind in ('view', 'matview', 'key', 'foreign', 'index') and 'text' in names:
            names.remove('text')
        if old.kind == 'function':
            names = [name for name in names if old.flavour == new.flavour and name not in ('flavour', 'immutable')]
        if old.kind == 'table':
            names = [name for name in names if name not in ('part_of', 'bound', 'overrides')]
            if self.chance(10) and (new.part_of or old.part_of):
                old.part_of, old.bound, old.overrides = new.part_of, new.bound, new.overrides
        if names:
            name = self.one(names)
            setattr(old, name, getattr(new, name))

    def alter_column(self):
        tables = [t for t in self.of('table') if t.parts]
        if not tables:
            return
        table = self.one(tables)
        at = self.things.index(table)
        column = self.one(table.parts)
        new = self.roll_column(table, at, set())
        name = self.one(['type', 'type', 'default', 'not_null', 'collation', 'compression', 'settings', 'identity', 'generated', 'comment', 'grants', 'all'])
        if name == 'all':
            for name in ('type', 'default', 'not_null', 'collation', 'compression', 'settings', 'identity', 'generated', 'comment', 'grants', 'virtual'):
                if hasattr(new, name) and not (name == 'generated' and new.generated and column.ref in new.generated):
                    setattr(column, name, getattr(new, name))
        elif name == 'type':
            column.type = self.type(at) if self.chance(40) else self.one(NUMBERS if column.type in NUMBERS else TEXTS)
            if column.default:
                column.default = self.constant(column.type, at) if self.chance(70) else column.default
        elif name == 'default':
            column.default = None if column.default and self.chance(40) else self.constant(column.type, at)
        elif name == 'not_null':
            column.not_null = not column.not_null
        elif name == 'generated' and column.generated:
            column.generated = None
        elif name == 'identity':
            column.identity = None if column.identity else new.identity
        elif name == 'grants':
            column.grants = self.roll_grants(column) if self.chance(60) else []
        elif name != 'generated':
            setattr(column, name, getattr(new, name))

    def add_column(self):
        tables = [t for t in self.of('table') if not t.part_of and not t.of_type]
        if tables:
            table = self.one(tables)
            column = self.roll_column(table, self.things.index(table), {c.name for c in self.columns(table)})
            table.parts.insert(self.rng.randint(0, len(table.parts)) if self.chance(30) and not column.generated else len(table.parts), column)

    def drop_column(self):
        tables = [t for t in self.of('table', 'composite') if len(t.parts) > 1]
        if tables:
            table = self.one(tables)
            table.parts.remove(self.one(table.parts))

    def alter_enum(self):
        for thing in self.some(self.of('enum'), 0, 1):
            how = self.rng.random()
            if how < 0.5:
                thing.labels.insert(self.rng.randint(0, len(thing.labels)), 'label %d' % self.rng.randint(1, 99))
            elif how < 0.7 and len(thing.labels) > 1:
                thing.labels.remove(self.one(thing.labels))
            elif how < 0.85:
                self.rng.shuffle(thing.labels)
            else:
                at = self.rng.randrange(len(thing.labels))
                thing.label_hint = (at, thing.labels[at])
                thing.labels[at] = 'renamed %d' % self.rng.randint(1, 99)

    def alter_field(self):
        for thing in self.some(self.of('composite'), 0, 1):
            how = self.rng.random()
            at = self.things.index(thing)
            if how < 0.4:
                thing.parts.append(Thing(self, 'field', self.new_name({p.name for p in thing.parts}), type=self.type(at)))
            elif how < 0.8 and thing.parts:
                self.one(thing.parts).type = self.type(at)
            else:
                self.rng.shuffle(thing.parts)

    def rename(self):
        if not self.things:
            return
        thing = self.one(self.things)
        old = thing.name
        thing.name = self.new_name()
        if thing.kind in ('table', 'view', 'matview', 'sequence', 'enum', 'composite', 'domain', 'range', 'index', 'key', 'check', 'exclude', 'foreign') and self.chance(75) \
                and not getattr(thing, 'unnamed', False):
            thing.old_name = thing.old_name or old

    def rename_column(self):
        tables = [t for t in self.of('table', 'composite') if t.parts]
        if tables:
            table = self.one(tables)
            column = self.one(table.parts)
            old = column.name
            column.name = self.new_name({c.name for c in self.columns(table)})
            if self.chance(75):
                column.old_name = column.old_name or old

    def redress(self):
        if self.things:
            thing = self.one(self.things)
            thing.comment, thing.owner, thing.grants = None, None, []
            self.dress(thing)

    def shuffle(self):
        """Columns, and things that do not need one another, in another order."""
        for table in self.some(self.of('table'), 0, 1):
            plain = [c for c in table.parts if not c.generated]
            self.rng.shuffle(plain)
            table.parts = plain + [c for c in table.parts if c.generated]
        for _ in range(3):
            if len(self.things) > 1:
                at = self.rng.randrange(len(self.things) - 1)
                if self.things[at].ref not in '\n'.join(self.statements_of(self.things[at + 1])):
                    self.things[at], self.things[at + 1] = self.things[at + 1], self.things[at]

    # writing -----------------------------------------------------------------

    def hint(self, thing):
        return ' -- @renamed from=%s\n' % quote(thing.old_name) if thing.old_name and thing.old_name != thing.name else ''

    def statements(self):
        """The DDL, statement by statement."""
        names = {}
        for thing in self.things:
            names[thing.id] = thing.name
            for part in thing.parts:
                names[part.id] = part.name
        result = []
        late = []
        for thing in self.things:
            for text in self.statements_of(thing):
                (late if text.startswith('LATE ') else result).append(text[5:] if text.startswith('LATE ') else text)
        written = []
        for text in result + late:
            try:
                written.append(re.sub(r"\{(\d+)('?)\}", lambda match: (lambda name: name.replace("'", "''") if match.group(2) else name)(quote(names[int(match.group(1))])), text))
            except KeyError:
                pass
        # owners count where the text says who they are
        for thing in self.things:
            if thing.kind in ('table', 'enum', 'domain') and thing.owner is None and 'OWNER' in self.owners:
                return written + ['ALTER %s %s OWNER TO CURRENT_USER' % ('TYPE' if thing.kind == 'enum' else thing.kind.upper(), quote(thing.name))]
        if self.owners:
            written += ['CREATE SEQUENCE owned', 'ALTER SEQUENCE owned OWNER TO CURRENT_USER']
        return written

    def statements_of(self, thing):
        texts = list(getattr(self, 'write_' + thing.kind)(thing))
        target = {'matview': 'MATERIALIZED VIEW', 'enum': 'TYPE', 'composite': 'TYPE', 'range': 'TYPE'}.get(thing.kind, thing.kind.upper())
        name = thing.ref
        if thing.kind in ('function', 'procedure'):
            name += re.sub(r" DEFAULT ('[^']*'|[^,)]*)", '', thing.arguments)
        elif thing.kind == 'aggregate':
            name += re.match(r'\([^)]*\)', thing.text).group(0)
        elif thing.kind in ('key', 'check', 'exclude', 'foreign'):
            target, name = 'CONSTRAINT', '%s ON %s' % (thing.ref, thing.table)
        elif thing.kind in ('trigger', 'rule', 'policy'):
            name = '%s ON %s' % (thing.ref, thing.table)
        if thing.comment and not getattr(thing, 'unnamed', False):
            texts.append('COMMENT ON %s %s IS %s' % (target, name, literal(thing.comment)))
        if thing.kind not in ('key', 'check', 'exclude', 'foreign', 'index', 'trigger', 'rule', 'policy', 'column'):
            if thing.owner:
                texts.append('ALTER %s %s OWNER TO %s' % (target, name, thing.owner))
            on = {'view': 'TABLE', 'matview': 'TABLE', 'domain': 'TYPE', 'aggregate': 'FUNCTION'}.get(thing.kind, target)
            for verb, what, role, option in thing.grants:
                texts.append('%s %s ON %s %s %s %s%s' % (verb, what, on, name.replace('ORDER BY', ',') if thing.kind == 'aggregate' else name, 'FROM' if verb == 'REVOKE' else 'TO', role, option))
        if thing.kind in ('table',):
            for column in thing.parts:
                if column.comment:
                    texts.append('COMMENT ON COLUMN %s.%s IS %s' % (thing.ref, column.ref, literal(column.comment)))
                for verb, what, role, option in column.grants:
                    texts.append('%s %s (%s) ON %s TO %s%s' % (verb, what, column.ref, thing.ref, role, option))
        return texts

    def write_enum(self, thing):
        labels = [literal(label) for label in thing.labels]
        hint = getattr(thing, 'label_hint', None)
        if hint and hint[0] < len(labels) and thing.labels[hint[0]] != hint[1] and hint[1] not in thing.labels:
            labels[hint[0]] += ' /* @renamed from=%s */' % ("'%s'" % hint[1].replace("'", "''"))
        yield 'CREATE TYPE %s%s AS ENUM (%s)' % (thing.ref, self.hint(thing), ', '.join(labels))

    def write_composite(self, thing):
        yield 'CREATE TYPE %s%s AS (\n%s\n)' % (thing.ref, self.hint(thing), ''.join(
            '  %s %s%s%s\n' % (p.ref, p.type, ',' if p is not thing.parts[-1] else '', self.hint(p).rstrip('\n')) for p in thing.parts))

    def write_domain(self, thing):
        yield 'CREATE DOMAIN %s%s AS %s%s%s%s%s' % (
            thing.ref, self.hint(thing), thing.base, ' COLLATE ' + thing.collation if thing.collation else '', ' DEFAULT ' + thing.default if thing.default else '',
            ' NOT NULL' if thing.not_null else '', ''.join('%s CHECK (%s)' % (' CONSTRAINT ' + quote(name) if name else '', text) for name, text in thing.checks))

    def write_range(self, thing):
        yield 'CREATE TYPE %s%s AS RANGE (%s)' % (thing.ref, self.hint(thing), ', '.join(['SUBTYPE = ' + thing.subtype] + thing.rest))

    def write_collation(self, thing):
        yield 'CREATE COLLATION %s %s' % (thing.ref, thing.text)

    def write_sequence(self, thing):
        yield 'CREATE %sSEQUENCE %s%s%s%s' % ('UNLOGGED ' if thing.unlogged else '', thing.ref, self.hint(thing), thing.type, ''.join(thing.options))
        if thing.owned_by:
            yield 'LATE ALTER SEQUENCE %s OWNED BY %s' % (thing.ref, thing.owned_by)

    def write_function(self, thing):
        yield 'CREATE FUNCTION %s%s%s %s %s' % (thing.ref, thing.arguments, ' RETURNS ' + thing.returns if thing.returns else '', thing.extras, thing.body)

    def write_procedure(self, thing):
        yield 'CREATE PROCEDURE %s%s %s' % (thing.ref, thing.arguments, thing.body)

    def write_aggregate(self, thing):
        yield 'CREATE AGGREGATE %s%s' % (thing.ref, thing.text)

    def column_text(self, column):
        text = '%s %s' % (column.ref, column.type)
        if column.compression:
            text += ' COMPRESSION ' + column.compression
        if column.collation:
            text += ' COLLATE ' + column.collation
        if column.generated:
            text += ' GENERATED ALWAYS AS (%s) %s' % (column.generated, 'VIRTUAL' if getattr(column, 'virtual', False) else 'STORED')
        elif column.identity:
            text += ' ' + column.identity
        elif column.default and not column.type.endswith('serial'):
            text += ' DEFAULT ' + column.default
        if column.not_null:
            text += ' NOT NULL'
        return text

    def write_table(self, thing):
        start = 'CREATE %sTABLE %s' % ('UNLOGGED ' if thing.unlogged else '', thing.ref)
        hint = self.hint(thing)
        if thing.part_of:
            text = '%s%s PARTITION OF %s' % (start, hint, thing.part_of)
            if thing.overrides:
                text += ' (%s)' % ', '.join(thing.overrides)
            text += ' ' + thing.bound
        elif thing.of_type:
            text = '%s%s OF %s' % (start, hint, thing.of_type)
        else:
            text = '%s%s (\n%s)' % (start, hint, ''.join('  %s%s%s\n' % (self.column_text(c), ',' if c is not thing.parts[-1] else '', self.hint(c).rstrip('\n'))
                                                        for c in thing.parts))
            if thing.parents:
                text += ' INHERITS (%s)' % ', '.join(thing.parents)
        if thing.partition_by:
            text += ' PARTITION BY ' + thing.partition_by
        if thing.options and not thing.partition_by:
            text += ' WITH (%s)' % thing.options
        yield text
        if thing.rls in ('ENABLE', 'BOTH'):
            yield 'ALTER TABLE %s ENABLE ROW LEVEL SECURITY' % thing.ref
        if thing.rls in ('FORCE', 'BOTH'):
            yield 'ALTER TABLE %s FORCE ROW LEVEL SECURITY' % thing.ref
        if thing.replica:
            yield 'ALTER TABLE %s REPLICA IDENTITY %s' % (thing.ref, thing.replica)
        for column in thing.parts:
            for name, value in column.settings.items():
                yield 'ALTER TABLE %s ALTER COLUMN %s SET %s %s' % (thing.ref, column.ref, name, value)

    def add_constraint(self, thing, late=''):
        if thing.unnamed:
            yield '%sALTER TABLE %s ADD %s' % (late, thing.table, thing.text)
        else:
            yield '%sALTER TABLE %s ADD CONSTRAINT %s%s %s' % (late, thing.table, thing.ref, self.hint(thing), thing.text)

    def write_key(self, thing):
        yield from self.add_constraint(thing)
        if thing.clustered and not thing.unnamed:
            yield 'ALTER TABLE %s CLUSTER ON %s' % (thing.table, thing.ref)
        if thing.replica and not thing.unnamed:
            yield 'ALTER TABLE %s REPLICA IDENTITY USING INDEX %s' % (thing.table, thing.ref)

    write_check = write_exclude = add_constraint

    def write_foreign(self, thing):
        yield from self.add_constraint(thing)

    def write_index(self, thing):
        yield 'CREATE %sINDEX %s%sON %s%s %s' % (thing.unique, '' if thing.unnamed else thing.ref + ' ', '' if thing.unnamed else self.hint(thing),
                                                 'ONLY ' if thing.only else '', thing.table, thing.text)
        if not thing.unnamed:
            if thing.clustered:
                yield 'ALTER TABLE %s CLUSTER ON %s' % (thing.table, thing.ref)
            for number in thing.settings:
                yield 'ALTER INDEX %s ALTER COLUMN %d SET STATISTICS 33' % (thing.ref, number)

    def write_statistics(self, thing):
        yield 'CREATE STATISTICS %s %s FROM %s' % (thing.ref, thing.text, thing.table)
        if thing.target:
            yield 'ALTER STATISTICS %s SET STATISTICS %d' % (thing.ref, thing.target)

    def write_view(self, thing):
        yield 'CREATE VIEW %s%s%s AS %s' % (thing.ref, self.hint(thing), ' WITH (%s)' % thing.options if thing.options else '', thing.text)

    def write_matview(self, thing):
        yield 'CREATE MATERIALIZED VIEW %s%s%s AS %s%s' % (thing.ref, self.hint(thing), ' WITH (%s)' % thing.options if thing.options else '', thing.text,
                                                          ' WITH NO DATA' if thing.empty else '')

    def write_trigger(self, thing):
        yield 'CREATE %sTRIGGER %s %s %s ON %s%s FOR EACH %s%s EXECUTE FUNCTION %s%s' % (
            thing.constraint, thing.ref, thing.timing, thing.events, thing.table, thing.middle, thing.level, thing.when, thing.function, thing.arguments)
        if thing.enabled:
            yield 'ALTER TABLE %s %s TRIGGER %s' % (thing.table, thing.enabled, thing.ref)

    def write_rule(self, thing):
        yield 'CREATE RULE %s AS ON %s TO %s %sDO %s' % (thing.ref, thing.event, thing.table, thing.where, thing.action)
        if thing.enabled:
            yield 'ALTER TABLE %s %s RULE %s' % (thing.table, thing.enabled, thing.ref)

    def write_policy(self, thing):
        yield 'CREATE POLICY %s ON %s %s' % (thing.ref, thing.table, thing.text)


def pair(seed, version):
    """The statements of two schemas."""
    rng = random.Random(seed)
    first = Schema(rng, version).fill(rng.randint(3, 26))
    if rng.random() < 0.08:
        second = Schema(random.Random(seed + 1000000007), version)
        second.owners = 'OWNER'
        return first.statements(), second.fill(rng.randint(3, 20)).statements()
    # what the mutations call old is what the first one has
    second = first.copy(rng)
    if any('OWNER TO' in text for text in first.statements()):
        second.owners = 'OWNER'
    second.mutate(rng.choices([1, 2, 4, 8, 16], [25, 30, 25, 15, 5])[0])
    return first.statements(), second.statements()
