"""Parameters as libpq sends them: text or binary, without a driver between."""

import ctypes
import ctypes.util

pq = ctypes.CDLL(ctypes.util.find_library("pq"))
pq.PQconnectdb.restype = ctypes.c_void_p
pq.PQconnectdb.argtypes = [ctypes.c_char_p]
pq.PQbackendPID.argtypes = [ctypes.c_void_p]
pq.PQfinish.argtypes = [ctypes.c_void_p]
pq.PQclear.argtypes = [ctypes.c_void_p]
pq.PQresultStatus.argtypes = [ctypes.c_void_p]
pq.PQresultErrorMessage.argtypes = [ctypes.c_void_p]
pq.PQresultErrorMessage.restype = ctypes.c_char_p
pq.PQexecParams.restype = ctypes.c_void_p
pq.PQexecParams.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
                            ctypes.c_void_p, ctypes.c_int]


class Connection:
    def __init__(self, database):
        self.connection = pq.PQconnectdb(b"dbname=" + database.encode())
        self.pid = pq.PQbackendPID(self.connection)

    def execute(self, sql, parameter=None, is_binary=False):
        """Run a statement with at most one parameter, of bytes."""
        count = 0 if parameter is None else 1
        values = (ctypes.c_char_p * 1)(parameter)
        lengths = (ctypes.c_int * 1)(len(parameter or b""))
        formats = (ctypes.c_int * 1)(1 if is_binary else 0)
        result = pq.PQexecParams(self.connection, sql.encode(), count, None, values, lengths, formats, 0)
        status = pq.PQresultStatus(result)
        message = pq.PQresultErrorMessage(result).decode()
        pq.PQclear(result)
        if status not in (1, 2):
            raise SystemExit("%s\n%s" % (sql[:200], message))

    def close(self):
        pq.PQfinish(self.connection)
